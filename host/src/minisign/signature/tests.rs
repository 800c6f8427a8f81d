use super::*;
use crate::minisign::{PublicKey, SecretKey};

/// Made by minisign 0.11: `minisign -G -W`, and `minisign -S -t "a comment"` of the
/// file `hi\n`.
const PUBLIC_KEY: &str = "untrusted comment: minisign public key 4EBC2614E8970380
RWSAA5foFCa8TkL81krG2Uxm70bw4++9cq5DZLlgl6ByomzyG0kg8YrT
";
const SECRET_KEY: &str = "untrusted comment: minisign encrypted secret key
RWQAAEIyAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAgAOX6BQmvE7z9AgGLGorHRZX6UsJP2xZyemwrCqAULzx5/hhaVC7l0L81krG2Uxm70bw4++9cq5DZLlgl6ByomzyG0kg8YrTAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
";
const SIGNATURE: &str = "untrusted comment: signature from minisign secret key
RUSAA5foFCa8TuVDNghXHmd4CaulvvfYFzjfmHVkJCAh3PE/Wrqc8Z6UpOZtSGJdfZYZ5MjpzZQwx+YQV3BC9WMXzKxOxES34AI=
trusted comment: a comment
tvaFgliEWAJDv7Dn+pGyjfadmxtkAWM4PpWGP/zIJcirvz23XLKZv5k0djmR6JbIzBM5YrAh5EZH68lPN7QJBA==
";
const FILE: &[u8] = b"hi\n";

fn public_key() -> PublicKey {
    PUBLIC_KEY.parse().unwrap()
}

#[test]
fn what_minisign_signed_is_verified() {
    let signature: Signature = SIGNATURE.parse().unwrap();
    assert!(public_key().verifies(&signature, &prehash(FILE)));
    assert!(!public_key().verifies(&signature, &prehash(b"ho\n")));
    assert_eq!(signature.to_string(), SIGNATURE);
    assert_eq!(public_key().id().to_string(), "4EBC2614E8970380");
    let line = public_key().to_string();
    assert!(PUBLIC_KEY.contains(&line));
    assert_eq!(line.parse(), Ok(public_key()), "the line alone");
}

#[test]
fn a_key_of_minisign_signs() {
    let key: SecretKey = SECRET_KEY.parse().unwrap();
    // As minisign does, byte for byte, but for the comment that is not signed.
    let same = key.sign(FILE, "a comment".to_owned()).to_string();
    let signed = |text: &str| text.split_once('\n').unwrap().1.to_owned();
    assert_eq!(signed(&same), signed(SIGNATURE));
    assert_eq!(key.public_key(), public_key());
    let signature = key.sign(FILE, "timestamp:1\tfile:hi".to_owned());
    assert!(public_key().verifies(&signature, &prehash(FILE)));
    assert_eq!(signature.field("file"), Some("hi"));
    assert_eq!(signature.field("fil"), None);
}

#[test]
fn a_new_key_is_read_as_it_was_written() {
    let key = SecretKey::generate().unwrap();
    let read: SecretKey = key.file().parse().unwrap();
    assert_eq!(read.public_key(), key.public_key());
    assert_ne!(
        SecretKey::generate().unwrap().public_key(),
        key.public_key()
    );
}

#[test]
fn what_was_changed_is_not_verified() {
    let key = SecretKey::generate().unwrap();
    let good = key.sign(FILE, "a".to_owned());
    let verifies = |signature: &Signature| key.public_key().verifies(signature, &prehash(FILE));
    assert!(verifies(&good));
    let changed: [fn(&mut Signature); 3] = [
        |signature| signature.of_file[9] ^= 1,
        |signature| signature.of_comment[9] ^= 1,
        |signature| signature.trusted_comment = "b".to_owned(),
    ];
    for change in changed {
        let mut signature = good.clone();
        change(&mut signature);
        assert!(!verifies(&signature), "{signature}");
    }
    // Nobody has signed the untrusted comment.
    let mut commented = good.clone();
    commented.untrusted_comment = "x".to_owned();
    assert!(verifies(&commented));
}

#[test]
fn what_is_no_signature_and_no_key_is_refused() {
    let lines: Vec<_> = SIGNATURE.lines().collect();
    let legacy = SIGNATURE.replace("RUSAA5", "RWSAA5");
    assert_eq!(legacy.parse::<Signature>(), Err(FormError::Legacy));
    for text in [
        "",
        "x",
        &lines[1..].join("\n"),
        &lines[..3].join("\n"),
        &lines[1].repeat(4),
        &format!("{SIGNATURE}more"),
        &SIGNATURE.replace("QJBA==", "QJB="),
        &SIGNATURE.replace("RUSAA5", "AUSAA5"),
        &SIGNATURE.replace("tvaFgl", ""),
    ] {
        assert_eq!(text.parse::<Signature>(), Err(FormError::Other), "{text}");
    }
    for text in [
        "",
        "RWS",
        SECRET_KEY,
        SIGNATURE,
        "x\nRWSAA5foFCa8TkL81krG2Uxm70bw4++9cq5DZLlgl6ByomzyG0kg8YrT",
    ] {
        assert_eq!(text.parse::<PublicKey>(), Err(FormError::Other), "{text}");
    }
    let encrypted = SECRET_KEY.replace("RWQAAEIy", "RWRTY0Iy");
    assert_eq!(
        encrypted.parse::<SecretKey>().unwrap_err(),
        FormError::Encrypted
    );
    let damaged = SECRET_KEY.replace("mvE7z9", "mvE7z8");
    assert!(damaged.parse::<SecretKey>().is_err());
}
