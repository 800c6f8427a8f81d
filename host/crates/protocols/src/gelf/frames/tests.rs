//! How a stream is cut.

use super::*;

const LONGEST: usize = 1000;

#[test]
fn messages_are_cut_at_zero_bytes_however_they_arrive() {
    let stream = "{\"host\":\"vm\"}\0\0{\"_a\":\"b\"}\0rest".to_owned();
    for step in [1, 2, 13, 14, 15, stream.len()] {
        let mut frames = Frames::new(LONGEST);
        let (mut buffer, mut taken) = (BytesMut::new(), Vec::new());
        for read in stream.as_bytes().chunks(step) {
            buffer.extend_from_slice(read);
            while let Some(framed) = frames.next(&mut buffer) {
                let Framed::Messages(messages) = framed else {
                    panic!("too long")
                };
                taken.extend_from_slice(&messages);
            }
        }
        assert_eq!(taken, stream.as_bytes()[..stream.len() - 4], "{step}");
        assert_eq!(frames.last(&mut buffer).as_deref(), Some(&b"rest"[..]));
        assert_eq!(frames.last(&mut buffer), None);
    }
}

#[test]
fn a_message_that_is_too_long_is_not_kept_and_the_next_one_is_found() {
    let mut frames = Frames::new(LONGEST);
    let mut buffer = BytesMut::new();
    let mut too_long = 0;
    for _ in 0..1000 {
        buffer.extend_from_slice(&[b'x'; 100]);
        too_long += usize::from(frames.next(&mut buffer) == Some(Framed::TooLong));
        assert!(buffer.len() <= LONGEST);
    }
    assert_eq!(too_long, 1);
    buffer.extend_from_slice(b"x\0next\0");
    let next = Framed::Messages(Bytes::from_static(b"next\0"));
    assert_eq!(frames.next(&mut buffer), Some(next));
    // What ends in the middle of one is nothing.
    buffer.extend_from_slice(&[b'x'; LONGEST + 1]);
    assert_eq!(frames.next(&mut buffer), Some(Framed::TooLong));
    buffer.extend_from_slice(b"x");
    assert_eq!(frames.last(&mut buffer), None);
}
