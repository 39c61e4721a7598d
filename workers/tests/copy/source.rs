//! A store with enough in it that a copy takes a while: rows are written with SQL, as they would be
//! after some conversations.

use std::path::Path;

use natter_workers::store::Stores;
use rusqlite::{Connection, Transaction, params};

/// Accounts.
const USERS: i64 = 2_000;
/// Channels, each with a creator, and messages one after the other.
const CHANNELS: i64 = 200;
/// Messages of each channel.
const MESSAGES: i64 = 100;
/// Every so many messages one is edited,
const EDITED: i64 = 10;
/// and one deleted.
const DELETED: i64 = 15;

pub(crate) async fn fill(directory: &Path) {
    // Makes the tables. They are closed by threads of their own, hence the wait.
    drop(Stores::embedded(directory).await.unwrap());
    let open = |name: &str| {
        let connection = Connection::open(directory.join(name)).unwrap();
        connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
        connection
    };
    let mut people = open("people.db");
    let tx = people.transaction().unwrap();
    fill_people(&tx);
    tx.commit().unwrap();
    let mut channels = open("channels.db");
    let tx = channels.transaction().unwrap();
    fill_channels(&tx);
    tx.commit().unwrap();
    let mut history = open("history.db");
    let tx = history.transaction().unwrap();
    Log { tx: &tx, seq: 0 }.fill();
    tx.commit().unwrap();
}

fn fill_people(tx: &Transaction<'_>) {
    for purpose in ["access_tokens", "refresh_tokens"] {
        let sql = "INSERT INTO keys VALUES (?1, 'k', randomblob(32), 5)";
        tx.execute(sql, [purpose]).unwrap();
    }
    for n in 1..=USERS {
        let sql = "INSERT INTO users VALUES (?1, ?2, 'Somebody', NULL, 0, 3, 'hash', 0, 7, NULL)";
        tx.execute(sql, params![n, format!("name{n}")]).unwrap();
        let ended = (n % 5 == 0).then_some(9);
        let sql = "INSERT INTO sessions VALUES (?1, ?2, 5, 6, randomblob(32), ?3)";
        tx.execute(sql, params![-n, n, ended]).unwrap();
        let sql = "INSERT INTO rotations VALUES (?1, randomblob(32), 'a nonce', 6)";
        tx.execute(sql, [-n]).unwrap();
    }
    tx.execute("INSERT INTO invites VALUES (randomblob(32), 'one', 0, 5)", []).unwrap();
}

fn fill_channels(tx: &Transaction<'_>) {
    for n in 1..=CHANNELS {
        tx.execute("INSERT INTO conversations VALUES (?1)", [n]).unwrap();
        let deleted = (n % 9 == 0).then_some("a request");
        let members = if deleted.is_some() { 0 } else { 10 };
        let sql = "INSERT INTO channels VALUES (?1, 'room', 1, 11, ?2, ?3)";
        tx.execute(sql, params![n, members, deleted]).unwrap();
        for user in 1..=members {
            let since = (user != 10).then_some(user * 1_024);
            let sql = "INSERT INTO channel_members VALUES (?1, ?2, ?2, ?3)";
            tx.execute(sql, params![n, user, since]).unwrap();
        }
        let sql = "INSERT INTO channel_outbox VALUES (?1, 11, 'MEMBER_ADD', '{}', 10, NULL, 5)";
        tx.execute(sql, [n]).unwrap();
        let sql = "INSERT INTO channel_nonces VALUES (1, ?1, ?2, 5)";
        tx.execute(sql, params![format!("nonce {n}"), n]).unwrap();
        let dm = n + CHANNELS;
        tx.execute("INSERT INTO conversations VALUES (?1)", [dm]).unwrap();
        tx.execute("INSERT INTO dms VALUES (1, ?1, ?2)", params![n + 1, dm]).unwrap();
        tx.execute("INSERT INTO dm_openings VALUES (?1, 1, 0, 1)", [dm]).unwrap();
        let sql = "INSERT INTO dm_openings VALUES (?1, ?2, 8, 0)";
        tx.execute(sql, params![dm, n + 1]).unwrap();
    }
}

/// One stream.
struct Log<'a> {
    tx: &'a Transaction<'a>,
    seq: i64,
}

impl Log<'_> {
    fn fill(mut self) {
        for channel in 1..=CHANNELS {
            let payload = format!(
                r#"{{"conversation_id":"{channel}","user_id":"1","author_id":"1","revision":1}}"#
            );
            self.entry(channel, 4, &payload);
            let sql = "INSERT INTO membership VALUES (?1, ?2, 4, 1, 1)";
            self.tx.execute(sql, [channel, self.seq]).unwrap();
            (1..=MESSAGES).for_each(|n| self.message(channel, n));
            let sql = "INSERT INTO read_markers VALUES (?1, ?2, ?3)";
            self.tx.execute(sql, [1, channel, self.seq * 1_024]).unwrap();
        }
        self.tx.execute("INSERT INTO floors VALUES (0, ?1)", [self.seq]).unwrap();
    }

    /// An entry at the next place.
    fn entry(&mut self, channel: i64, kind: i64, payload: &str) {
        self.seq += 1;
        let sql = "INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5)";
        let at = 1_000 + self.seq;
        self.tx.execute(sql, params![channel, self.seq, at, kind, payload]).unwrap();
    }

    fn message(&mut self, channel: i64, n: i64) {
        let (edited, deleted) = (n % EDITED == 0, n % DELETED == 0);
        let content = if deleted { String::new() } else { format!("message {n}") };
        let payload = format!(
            r#"{{"conversation_id":"{channel}","author_id":"1","content":"{content}","edited_at":null,"nonce":"n{n}"}}"#
        );
        self.entry(channel, 1, &payload);
        let (seq, mut shown, mut edit, mut gone) = (self.seq, content, None, None);
        let id = seq * 1_024;
        let about = format!(r#""conversation_id":"{channel}","message_id":"{id}","author_id":"1""#);
        if edited {
            self.entry(channel, 2, &format!(r#"{{{about},"content":"edited {n}"}}"#));
            edit = Some(self.seq);
            if !deleted {
                shown = format!("edited {n}");
            }
        }
        if deleted {
            self.entry(channel, 3, &format!("{{{about}}}"));
            gone = Some(self.seq);
        }
        let sql = "INSERT INTO messages VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6, ?7, ?8)";
        let nonce = format!("n{n}");
        let edited_at = edit.map(|seq| 1_000 + seq);
        let values = params![channel, seq, 1_000 + seq, nonce, shown, edited_at, edit, gone];
        self.tx.execute(sql, values).unwrap();
    }
}
