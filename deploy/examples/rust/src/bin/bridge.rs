//! Publishes the lines of a file, each once and in order.    cargo run --bin bridge FILE CHANNEL_ID
//!
//! Started again, it goes on where it was: FILE.done has the number of the last line that was
//! answered. The one after it may have been written without the answer being seen; its nonce, which
//! is its number, makes it the same message.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use natter_bots::{Bot, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let mut arguments = std::env::args().skip(1);
    let (Some(path), Some(channel)) = (arguments.next(), arguments.next()) else {
        return Err("usage: bridge FILE CHANNEL_ID".into());
    };
    let (done, fresh) = (format!("{path}.done"), format!("{path}.done.new"));
    let position: usize =
        if Path::new(&done).exists() { fs::read_to_string(&done)?.parse()? } else { 0 };
    let bot = Bot::connect().await?;
    for (number, line) in (1..).zip(BufReader::new(File::open(&path)?).lines()) {
        let line = line?;
        if number <= position || line.trim().is_empty() {
            continue;
        }
        // One by one: the next only after the answer, or they could change places.
        bot.send(&channel, &line, &format!("line-{number}")).await?;
        fs::write(&fresh, number.to_string())?;
        fs::rename(&fresh, &done)?; // in one step, so that it is never half written
    }
    Ok(())
}
