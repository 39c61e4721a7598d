//! What a client sends on its socket: a frame, a NACK or one of the two close codes for bad frames,
//! and what was accepted is in its normal form.

#![no_main]

use bus_schema::error::Close;
use bus_schema::frames::{BadFrame, ClientFrame, op};
use bus_schema::text::{Content, Nonce};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(frame) = std::str::from_utf8(bytes) else { return };
    match ClientFrame::parse(frame) {
        Ok(ClientFrame::Send(send)) => {
            assert_eq!(Content::parse(send.content.as_str()), Ok(send.content));
            assert_eq!(Nonce::parse(send.nonce.as_str()), Ok(send.nonce));
        }
        Ok(_) => {}
        Err(BadFrame::Close(close)) => {
            assert!(matches!(close, Close::BadFrame | Close::UnknownOp), "{close:?}");
        }
        Err(BadFrame::Nack(nack)) => {
            assert!([op::SEND, op::TYPING, op::READ].contains(&nack.op), "{nack:?}");
            for echo in [&nack.conversation_id, &nack.nonce].into_iter().flatten() {
                assert!(echo.chars().count() <= 64, "an echo without a bound");
            }
            serde_json::to_string(&nack).unwrap();
        }
    }
});
