// Writes each record as one line on the node's stdout.
//
// Config: {"format": "text"}, the default, or {"format": "json"}.

#include <string.h>

#include "bindings/stdout_sink.h"

typedef sluice_sink_types_failure_t failure_t;
typedef wasi_io_streams_borrow_output_stream_t stream_t;

static bool json;
static wasi_cli_stdout_own_output_stream_t out;

// All functions that may fail return true if they succeed, and else fill in the
// failure. The caller frees it.
static bool write_all(stream_t stream, const stdout_sink_list_u8_t *bytes, failure_t *failure);
static bool permanent(failure_t *failure, const char *reason);
static bool retryable(failure_t *failure, const char *reason);

// The config is short, so this looks for words instead of parsing JSON.
static bool has(const stdout_sink_string_t *config, const char *text) {
    size_t length = strlen(text);
    for (size_t at = 0; at + length <= config->len; at++) {
        if (memcmp(config->ptr + at, text, length) == 0) {
            return true;
        }
    }
    return false;
}

bool exports_sluice_sink_sink_open(stdout_sink_string_t *config, failure_t *failure) {
    json = has(config, "\"json\"");
    bool known = config->len == 0 || (has(config, "\"format\"") && (json || has(config, "\"text\"")));
    stdout_sink_string_free(config);
    if (!known) {
        return permanent(failure, "config: try {\"format\": \"text\"} or {\"format\": \"json\"}");
    }
    out = wasi_cli_stdout_get_stdout();
    return true;
}

bool exports_sluice_sink_sink_write(sluice_sink_types_delivery_t *delivery,
                                    sluice_sink_types_borrow_batch_t batch,
                                    exports_sluice_sink_sink_list_refusal_t *refusals,
                                    failure_t *failure) {
    (void)delivery;
    // The host makes the lines. Each record is one line, whatever its body
    // contains.
    stdout_sink_list_u8_t lines;
    if (json) {
        sluice_sink_types_method_batch_json_lines(batch, &lines);
    } else {
        sluice_sink_types_method_batch_text_lines(batch, &lines);
    }
    // A batch must be dropped before the function returns, in every case.
    sluice_sink_types_batch_drop_borrow(batch);
    bool written = write_all(wasi_io_streams_borrow_output_stream(out), &lines, failure);
    stdout_sink_list_u8_free(&lines);
    // Nothing is refused: the host acknowledges all records.
    refusals->ptr = NULL;
    refusals->len = 0;
    return written;
}

void exports_sluice_sink_sink_close(void) {
    wasi_io_streams_output_stream_drop_own(out);
}

// A stream says how many bytes it takes now. The host waits until they have left
// the node, so nothing is flushed here.
static bool write_all(stream_t stream, const stdout_sink_list_u8_t *bytes, failure_t *failure) {
    size_t done = 0;
    while (done < bytes->len) {
        uint64_t size;
        wasi_io_streams_stream_error_t error;
        if (!wasi_io_streams_method_output_stream_check_write(stream, &size, &error)) {
            wasi_io_streams_stream_error_free(&error);
            return retryable(failure, "stdout is closed");
        }
        if (size == 0) {
            wasi_io_poll_own_pollable_t ready =
                wasi_io_streams_method_output_stream_subscribe(stream);
            wasi_io_poll_method_pollable_block(wasi_io_poll_borrow_pollable(ready));
            wasi_io_poll_pollable_drop_own(ready);
            continue;
        }
        size_t rest = bytes->len - done;
        stdout_sink_list_u8_t part = {bytes->ptr + done, size < rest ? (size_t)size : rest};
        if (!wasi_io_streams_method_output_stream_write(stream, &part, &error)) {
            wasi_io_streams_stream_error_free(&error);
            return retryable(failure, "stdout is closed");
        }
        done += part.len;
    }
    return true;
}

static bool permanent(failure_t *failure, const char *reason) {
    failure->tag = SLUICE_SINK_TYPES_FAILURE_PERMANENT;
    stdout_sink_string_dup(&failure->val.permanent, reason);
    return false;
}

static bool retryable(failure_t *failure, const char *reason) {
    failure->tag = SLUICE_SINK_TYPES_FAILURE_RETRYABLE;
    stdout_sink_string_dup(&failure->val.retryable.reason, reason);
    failure->val.retryable.after_ms.is_some = false;
    return false;
}
