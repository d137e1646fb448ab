use proptest::prelude::*;

use super::*;

fn reference(message: &[u8]) -> Digest {
    use sha2::Digest as _;
    sha2::Sha256::digest(message).into()
}

/// Hashes the messages together and compares each with the reference.
fn check(messages: &[Vec<u8>]) {
    let data = messages.concat();
    let mut ends = Vec::new();
    let mut end = 0;
    for message in messages {
        end += message.len();
        ends.push(end);
    }
    let mut found = vec![[7; 32]];
    digest_many(&data, &ends, &mut found);
    let mut one = Vec::new();
    one_by_one(&data, &ends, &mut one);
    assert_eq!(found[0], [7; 32], "what was there stays");
    #[cfg(target_arch = "x86_64")]
    if let Some(support) = lanes::Support::detect() {
        let mut less = Vec::new();
        support.less().digest_many(&data, &ends, &mut less);
        assert_eq!(found[1..], less);
    }
    assert_eq!(found.len(), 1 + messages.len());
    for ((message, found), one) in messages.iter().zip(&found[1..]).zip(&one) {
        assert_eq!(*found, reference(message), "{} bytes of {}", message.len(), messages.len());
        assert_eq!(found, one);
    }
}

#[test]
fn known_answers() {
    // FIPS 180-4's own examples, and the empty message.
    let hex = |digest: Digest| digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mut found = Vec::new();
    let long = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
    digest_many(&[b"abc".as_slice(), long].concat(), &[0, 3, 59], &mut found);
    assert_eq!(hex(found[0]), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    assert_eq!(hex(found[1]), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(hex(found[2]), "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    assert_eq!(hex(digest(b"abc")), hex(found[1]));
}

#[test]
fn every_length() {
    let messages: Vec<Vec<u8>> =
        (0..300).map(|length| (0..length).map(|i| (i * 7 + length) as u8).collect()).collect();
    check(&messages);
    for message in messages {
        check(&[message]);
    }
    check(&[]);
}

#[test]
fn parents_of_a_level() {
    for count in 0..20u8 {
        let level: Vec<Digest> = (0..count).map(|i| digest(&[i])).collect();
        let mut found = Vec::new();
        node_hashes(&level, &mut found);
        assert_eq!(found.len(), level.len() / 2);
        for (pair, found) in level.chunks_exact(2).zip(&found) {
            assert_eq!(*found, reference(&[&[1][..], &pair[0], &pair[1]].concat()));
            assert_eq!(*found, node_hash(&pair[0], &pair[1]));
        }
    }
}

#[test]
#[should_panic(expected = "range end index")]
fn ends_past_the_data_are_refused() {
    digest_many(&[0; 3], &[4], &mut Vec::new());
}

proptest! {
    #[test]
    fn any_batch(messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..400), 0..40)) {
        check(&messages);
    }
}
