//! How a stream is cut.

use super::*;

const LONGEST: usize = 1000;

/// Takes what is complete from the front.
fn take(frames: &mut Frames, unread: &mut Vec<u8>, is_end: bool) -> Option<Vec<u8>> {
    let framed = frames.next(unread, is_end)?;
    let messages = unread[framed.messages].to_vec();
    unread.drain(..framed.bytes);
    Some(messages)
}

#[test]
fn messages_are_cut_at_zero_bytes_however_they_arrive() {
    let stream = "{\"host\":\"vm\"}\0\0{\"_a\":\"b\"}\0rest".to_owned();
    for step in [1, 2, 13, 14, 15, stream.len()] {
        let mut frames = Frames::new(LONGEST);
        let (mut unread, mut taken) = (Vec::new(), Vec::new());
        for read in stream.as_bytes().chunks(step) {
            unread.extend_from_slice(read);
            while let Some(messages) = take(&mut frames, &mut unread, false) {
                taken.extend(messages);
            }
        }
        assert_eq!(taken, stream.as_bytes()[..stream.len() - 4], "{step}");
        let last = take(&mut frames, &mut unread, true);
        assert_eq!(last.as_deref(), Some(&b"rest"[..]));
        assert_eq!(take(&mut frames, &mut unread, true), None);
    }
}

#[test]
fn a_message_that_is_too_long_is_not_kept_and_the_next_one_is_found() {
    let mut frames = Frames::new(LONGEST);
    let mut unread = Vec::new();
    let mut starts = Vec::new();
    for _ in 0..1000 {
        unread.extend_from_slice(&[b'x'; 100]);
        starts.extend(take(&mut frames, &mut unread, false).filter(|part| !part.is_empty()));
        assert!(unread.len() <= LONGEST);
    }
    assert_eq!(starts, [vec![b'x'; LONGEST + 100]]);
    unread.extend_from_slice(b"x\0next\0");
    let next = take(&mut frames, &mut unread, false);
    assert_eq!(next.as_deref(), Some(&b"next\0"[..]));
    // What ends in the middle of one is nothing.
    unread.extend_from_slice(&[b'x'; LONGEST + 1]);
    assert!(take(&mut frames, &mut unread, false).is_some());
    unread.extend_from_slice(b"x");
    assert_eq!(take(&mut frames, &mut unread, true), Some(Vec::new()));
    assert_eq!(take(&mut frames, &mut unread, true), None);
}

#[test]
fn the_rest_of_a_message_that_was_too_long_is_dropped_before_an_unfinished_one() {
    let mut frames = Frames::new(LONGEST);
    let mut unread = vec![b'x'; LONGEST + 1];
    assert!(take(&mut frames, &mut unread, false).is_some());
    unread.extend_from_slice(b"xx\0begun");
    assert_eq!(take(&mut frames, &mut unread, false), Some(Vec::new()));
    assert_eq!(unread, b"begun");
    assert_eq!(take(&mut frames, &mut unread, false), None);
}
