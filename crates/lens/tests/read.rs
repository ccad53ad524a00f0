//! Reading under taps.

mod common;

use common::{Planted, plain};
use saltus_lens::{Error, read};
use saltus_transformer::NoTaps;

#[test]
fn what_cannot_be_read_is_said() {
    let model = Planted::new(plain(8, 1, 4)).model();
    let check = |tokens: &[u32], expect: &str| {
        let error: Error = read(&model, &[(tokens, tokens.len())], &mut NoTaps).err().unwrap();
        assert!(error.to_string().contains(expect), "{error}");
    };
    check(&[], "without tokens");
    check(&[0; 65], "65 tokens do not fit the model's context of 64");
    check(&[8], "token 8 in a model with a vocabulary of 8");
    assert_eq!(read(&model, &[(&[1, 2], 2), (&[3], 1)], &mut NoTaps).unwrap().wanted(), 3);
}
