//! Text that people type: what is accepted is in its normal form, is accepted again as it is, and
//! keeps its bounds.

#![no_main]

use bus_schema::limits;
use bus_schema::text::{AvatarUrl, ChannelName, Content, DisplayName, Nonce, Password, Username};
use libfuzzer_sys::fuzz_target;

macro_rules! stable {
    ($text:expr, $most:expr, $type:ty) => {
        if let Ok(once) = <$type>::parse($text) {
            assert_eq!(<$type>::parse(once.as_str()).as_ref(), Ok(&once));
            assert!((1..=$most).contains(&once.as_str().chars().count()), "{once:?}");
            assert_eq!(once.as_str().trim(), once.as_str(), "blanks around it");
            let json = serde_json::to_string(&once).unwrap();
            assert_eq!(serde_json::from_str::<$type>(&json).unwrap(), once);
        }
    };
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    stable!(text, limits::USERNAME_MAX, Username);
    stable!(text, limits::DISPLAY_NAME_CHARS, DisplayName);
    stable!(text, limits::CHANNEL_NAME_CHARS, ChannelName);
    stable!(text, limits::CONTENT_CHARS, Content);
    stable!(text, limits::AVATAR_URL_CHARS, AvatarUrl);
    if let Ok(nonce) = Nonce::parse(text) {
        assert_eq!(nonce.as_str(), text, "a nonce is taken as it is");
    }
    if let Ok(password) = Password::parse(text) {
        assert_eq!(password.as_bytes(), bytes, "a password is taken as it is");
    }
});
