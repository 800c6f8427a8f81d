// Tests sink.c without a node: this file takes the place of the host.

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bindings/stdout_sink.h"

static char written[64];
static size_t written_len;
static bool is_ready, is_closed;
static int batches_dropped, pollables;

static void check(bool holds, const char *what) {
    if (!holds) {
        printf("FAILED: %s\n", what);
        exit(1);
    }
}

static uint8_t *copy_of(const char *text) {
    size_t size = strlen(text) + 1;
    uint8_t *copy = malloc(size);
    check(copy != NULL, "there is memory");
    return memcpy(copy, text, size);
}

// The views of a batch of two records.
void sluice_sink_types_method_batch_text_lines(sluice_sink_types_borrow_batch_t self,
                                               stdout_sink_list_u8_t *ret) {
    (void)self;
    ret->ptr = copy_of("one\ntwo\n");
    ret->len = 8;
}

void sluice_sink_types_method_batch_json_lines(sluice_sink_types_borrow_batch_t self,
                                               stdout_sink_list_u8_t *ret) {
    (void)self;
    ret->ptr = copy_of("{}\n{}\n");
    ret->len = 6;
}

void sluice_sink_types_batch_drop_borrow(sluice_sink_types_borrow_batch_t batch) {
    (void)batch;
    batches_dropped++;
}

// A stream that takes three bytes at a time, and has to be waited for.
wasi_cli_stdout_own_output_stream_t wasi_cli_stdout_get_stdout(void) {
    return (wasi_cli_stdout_own_output_stream_t){7};
}

wasi_io_streams_borrow_output_stream_t
wasi_io_streams_borrow_output_stream(wasi_io_streams_own_output_stream_t stream) {
    return (wasi_io_streams_borrow_output_stream_t){stream.__handle};
}

bool wasi_io_streams_method_output_stream_check_write(wasi_io_streams_borrow_output_stream_t self,
                                                      uint64_t *ret,
                                                      wasi_io_streams_stream_error_t *err) {
    check(self.__handle == 7, "it writes to stdout");
    err->tag = WASI_IO_STREAMS_STREAM_ERROR_CLOSED;
    *ret = is_ready ? 3 : 0;
    return !is_closed;
}

bool wasi_io_streams_method_output_stream_write(wasi_io_streams_borrow_output_stream_t self,
                                                stdout_sink_list_u8_t *contents,
                                                wasi_io_streams_stream_error_t *err) {
    (void)self, (void)err;
    check(is_ready && contents->len <= 3, "it writes no more than the stream takes");
    is_ready = false;
    memcpy(written + written_len, contents->ptr, contents->len);
    written_len += contents->len;
    return true;
}

wasi_io_streams_own_pollable_t
wasi_io_streams_method_output_stream_subscribe(wasi_io_streams_borrow_output_stream_t self) {
    pollables++;
    return (wasi_io_streams_own_pollable_t){self.__handle};
}

wasi_io_poll_borrow_pollable_t wasi_io_poll_borrow_pollable(wasi_io_poll_own_pollable_t handle) {
    return (wasi_io_poll_borrow_pollable_t){handle.__handle};
}

void wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable_t self) {
    (void)self;
    is_ready = true;
}

void wasi_io_poll_pollable_drop_own(wasi_io_poll_own_pollable_t handle) {
    (void)handle;
    pollables--;
}

void wasi_io_streams_output_stream_drop_own(wasi_io_streams_own_output_stream_t handle) {
    (void)handle;
}

void wasi_io_streams_stream_error_free(wasi_io_streams_stream_error_t *ptr) {
    (void)ptr;
}

// Memory that crosses the border.
void stdout_sink_string_dup(stdout_sink_string_t *ret, const char *s) {
    ret->ptr = copy_of(s);
    ret->len = strlen(s);
}

void stdout_sink_string_free(stdout_sink_string_t *ret) {
    free(ret->ptr);
}

void stdout_sink_list_u8_free(stdout_sink_list_u8_t *ptr) {
    free(ptr->ptr);
}

static bool opens(const char *config, sluice_sink_types_failure_t *failure) {
    stdout_sink_string_t text;
    stdout_sink_string_dup(&text, config);
    return exports_sluice_sink_sink_open(&text, failure);
}

static bool writes(sluice_sink_types_failure_t *failure) {
    sluice_sink_types_delivery_t delivery = {.epoch = 1, .attempt = 1};
    exports_sluice_sink_sink_list_refusal_t refusals = {NULL, 1};
    sluice_sink_types_borrow_batch_t batch = {3};
    batches_dropped = 0;
    written_len = 0;
    bool is_ok = exports_sluice_sink_sink_write(&delivery, batch, &refusals, failure);
    check(batches_dropped == 1, "the batch is dropped once");
    check(pollables == 0, "every pollable is dropped");
    check(refusals.len == 0, "nothing is refused");
    return is_ok;
}

int main(void) {
    sluice_sink_types_failure_t failure;

    check(opens("", &failure) && writes(&failure), "text is written");
    check(written_len == 8 && memcmp(written, "one\ntwo\n", 8) == 0, "text has a line per record");

    check(opens("{\"format\": \"json\"}", &failure) && writes(&failure), "JSON is written");
    check(written_len == 6 && memcmp(written, "{}\n{}\n", 6) == 0, "JSON has a line per record");

    check(!opens("\"text\"", &failure), "a config that is no object does not open");
    check(!opens("{\"format\": \"xml\"}", &failure), "a wrong config does not open");
    check(failure.tag == SLUICE_SINK_TYPES_FAILURE_PERMANENT, "a wrong config stays wrong");

    is_closed = true;
    check(opens("", &failure) && !writes(&failure), "a failed write is noticed");
    check(failure.tag == SLUICE_SINK_TYPES_FAILURE_RETRYABLE, "a failed write is tried again");

    printf("all tests passed\n");
    return 0;
}
