use std::io::{self, Read};
use std::time::Duration;

use bytes::Bytes;
use wasmtime_wasi::cli::StdoutStream;
use wasmtime_wasi::p2::{OutputStream, StreamError};

use super::NodeStdout;
use super::buffer::SLICE;

fn stdout() -> (NodeStdout, io::PipeReader) {
    let (reader, writer) = io::pipe().unwrap();
    (NodeStdout::new(writer.into()).unwrap(), reader)
}

async fn put(stream: &mut Box<dyn OutputStream>, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        let permit = stream.write_ready().await.unwrap().min(bytes.len());
        stream
            .write(Bytes::copy_from_slice(&bytes[..permit]))
            .unwrap();
        bytes = &bytes[permit..];
    }
}

#[tokio::test]
async fn lines_of_two_instances_are_never_joined() {
    let (stdout, mut reader) = stdout();
    let (one, other) = (stdout.for_instance(), stdout.for_instance());
    put(&mut one.p2_stream(), b"half of one").await;
    one.flushed().await.unwrap();
    put(&mut other.p2_stream(), b"other\n").await;
    put(&mut one.p2_stream(), b"whole\nagain half").await;
    one.flushed().await.unwrap();
    drop(one);
    other.flushed().await.unwrap();
    drop(other);
    stdout.close();
    drop(stdout);
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "half of one\nother\nwhole\nagain half\n");
}

#[tokio::test]
async fn a_full_pipe_gives_no_permit_and_a_dropped_instance_leaves_the_buffer() {
    let (stdout, mut reader) = stdout();
    let one = stdout.for_instance();
    let mut stream = one.p2_stream();
    loop {
        match stream.check_write().unwrap() {
            0 => break,
            permit => stream.write(vec![b'x'; permit].into()).unwrap(),
        }
    }
    assert!(!stdout.drained(Duration::from_millis(20)).await);
    drop((stream, one));
    let other = stdout.for_instance();
    let drain = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    });
    put(&mut other.p2_stream(), b"after\n").await;
    other.flushed().await.unwrap();
    stdout.close();
    drop((other, stdout));
    let bytes = drain.join().unwrap();
    assert!(
        bytes.len() <= (64 << 10) + SLICE + 7,
        "{} bytes",
        bytes.len()
    );
    assert!(bytes.ends_with(b"x\nafter\n"));
}

#[tokio::test]
async fn a_guest_that_writes_more_than_its_permit_traps() {
    let (stdout, _reader) = stdout();
    let one = stdout.for_instance();
    let mut stream = one.p2_stream();
    let unasked = stream.write(Bytes::from_static(b"x"));
    assert!(matches!(unasked, Err(StreamError::Trap(_))), "{unasked:?}");
    let permit = stream.check_write().unwrap();
    let beyond = stream.write(vec![b'x'; permit + 1].into());
    assert!(matches!(beyond, Err(StreamError::Trap(_))), "{beyond:?}");
}

#[tokio::test]
async fn many_streams_of_an_instance_share_its_permit() {
    let (stdout, _reader) = stdout();
    let one = stdout.for_instance();
    let mut streams: Vec<_> = (0..10).map(|_| one.p2_stream()).collect();
    let permits: Vec<_> = streams.iter_mut().map(|s| s.check_write()).collect();
    let permit = *permits[0].as_ref().unwrap();
    assert!(permit > 0 && permits.iter().all(|p| *p.as_ref().unwrap() == permit));
    for stream in &mut streams {
        stream.write(vec![b'x'; permit / 10].into()).unwrap();
    }
    let beyond = streams[0].write(vec![b'x'; permit / 10].into());
    assert!(matches!(beyond, Err(StreamError::Trap(_))), "{beyond:?}");
}

#[tokio::test]
async fn an_error_fails_the_call_even_if_the_guest_ignores_it() {
    let (stdout, reader) = stdout();
    drop(reader);
    let one = stdout.for_instance();
    let mut stream = one.p2_stream();
    put(&mut stream, b"lost\n").await;
    stream.ready().await;
    assert!(stream.check_write().is_err());
    assert!(one.flushed().await.is_err());
    one.begin();
    assert!(one.flushed().await.is_ok());
}

#[tokio::test]
async fn a_closed_reader_fails_each_write_and_ends_nothing() {
    let (stdout, reader) = stdout();
    drop(reader);
    let one = stdout.for_instance();
    put(&mut one.p2_stream(), b"lost\n").await;
    assert_eq!(
        one.flushed().await.unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
    put(&mut one.p2_stream(), b"lost too\n").await;
    assert_eq!(
        one.flushed().await.unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
}
