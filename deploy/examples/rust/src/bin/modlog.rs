//! Writes all that happens into a file, each entry once, whatever dies.    cargo run --bin modlog FILE

use std::collections::HashMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};

use natter_bots::{Bot, Error, Event, Refused};
use serde::Deserialize;
use serde_json::json;

/// What all entries have.
#[derive(Deserialize)]
struct Entry {
    id: String,
    conversation_id: String,
}

#[derive(Deserialize)]
struct Gap {
    conversation_id: String,
    from: String,
    to: String,
}

/// One event to a line. The last line of a conversation is also how far it has been logged: what was
/// done and how far that is are one write, and nothing can come between them.
struct Log {
    file: File,
    last: HashMap<String, u64>,
}

impl Log {
    fn open(path: &str) -> Result<Self, Error> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content)?;
        // A torn last line was not acknowledged, and will come again.
        let whole = content.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
        file.set_len(whole as u64)?;
        let mut last = HashMap::new();
        for line in str::from_utf8(&content[..whole])?.lines() {
            let event: Event = serde_json::from_str(line)?;
            let entry: Entry = serde_json::from_str(event.d.get())?;
            last.insert(entry.conversation_id, entry.id.parse()?);
        }
        Ok(Self { file, last })
    }

    fn add(&mut self, event: &Event) -> Result<(), Error> {
        let entry: Entry = serde_json::from_str(event.d.get())?;
        let id = entry.id.parse()?;
        if self.last.get(&entry.conversation_id).is_some_and(|&last| id <= last) {
            return Ok(()); // logged already, and only the acknowledgement was lost
        }
        self.file.write_all(format!("{}\n", serde_json::to_string(event)?).as_bytes())?;
        self.file.sync_data()?;
        self.last.insert(entry.conversation_id, id);
        Ok(())
    }
}

/// What was left out because too much waited, from after `from` to before `to`.
async fn fill(bot: &Bot, log: &mut Log, gap: Gap) -> Result<(), Error> {
    let to: u64 = gap.to.parse()?;
    let (mut after, mut more) = (json!(gap.from), true);
    while more {
        let request =
            json!({ "conversation_id": gap.conversation_id, "after": after, "limit": 100 });
        let mut page = bot.ask("api.entries.list", &request).await?;
        for event in Vec::<Event>::deserialize(page["entries"].take())? {
            let entry: Entry = serde_json::from_str(event.d.get())?;
            if entry.id.parse::<u64>()? >= to {
                return Ok(());
            }
            log.add(&event)?;
        }
        (after, more) = (page["next"].take(), page["has_more"] == true);
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let path = std::env::args().nth(1).ok_or("usage: modlog FILE")?;
    let mut log = Log::open(&path)?;
    let bot = Bot::connect().await?;
    bot.each(async |event| {
        if event.t != "GAP" {
            return log.add(&event);
        }
        match fill(&bot, &mut log, serde_json::from_str(event.d.get())?).await {
            // It is in the channel no more, and may not read it.
            Err(error) if error.is::<Refused>() => {
                println!("{error}");
                Ok(())
            }
            other => other,
        }
    })
    .await
}
