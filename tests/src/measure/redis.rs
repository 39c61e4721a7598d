//! What Redis works on, by its own MONITOR, of the keys of one platform.
//!
//! Invariant: nothing is missed: Redis shows each command in the order in which it worked on them, so
//! whoever sees a mark that was set after has seen all before. What a script does within is no
//! command of a client, and is left out.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::SEEN_WITHIN;
use crate::{Context as _, Outcome, ensure};

/// One command of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its name, in capitals.
    pub name: String,
    /// The platform's keys in it.
    pub keys: Vec<String>,
}

/// Watches.
pub struct Monitor {
    shown: Mutex<Lines<BufReader<OwnedReadHalf>>>,
    asking: Mutex<Asking>,
    prefix: String,
    _keep: OwnedWriteHalf,
}

/// A connection for commands of our own.
struct Asking {
    answers: Lines<BufReader<OwnedReadHalf>>,
    questions: OwnedWriteHalf,
}

async fn connect(url: &str) -> Outcome<(Lines<BufReader<OwnedReadHalf>>, OwnedWriteHalf)> {
    let address = url.strip_prefix("redis://").during("an address without TLS is needed")?;
    let stream = TcpStream::connect(address.split('/').next().unwrap_or(address)).await;
    let (read, write) = stream.during("connecting to Redis")?.into_split();
    Ok((BufReader::new(read).lines(), write))
}

async fn line(lines: &mut Lines<BufReader<OwnedReadHalf>>) -> Outcome<String> {
    let line = timeout(SEEN_WITHIN, lines.next_line()).await.during("Redis says nothing")?;
    line?.during("Redis has hung up")
}

impl Monitor {
    /// Watches for commands with keys that begin with `prefix`.
    pub async fn start(url: &str, prefix: &str) -> Outcome<Self> {
        let (mut shown, mut write) = connect(url).await?;
        write.write_all(b"MONITOR\r\n").await?;
        let said = line(&mut shown).await?;
        ensure!(said == "+OK", "Redis does not let itself be watched: {said}");
        let (answers, questions) = connect(url).await?;
        Ok(Self {
            shown: Mutex::new(shown),
            asking: Mutex::new(Asking { answers, questions }),
            prefix: prefix.to_owned(),
            _keep: write,
        })
    }

    /// What was worked on since the last time.
    pub async fn take(&self) -> Outcome<Vec<Command>> {
        // What is begun behind an answer is part of what the answer costs.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mark = format!("mark-{:016x}", rand::random::<u64>());
        self.ask(&format!("ECHO {mark}")).await?;
        let mut shown = self.shown.lock().await;
        let mut commands = Vec::new();
        loop {
            let line = line(&mut shown).await?;
            if line.contains(&mark) {
                return Ok(commands);
            }
            commands.extend(command(&line, &self.prefix));
        }
    }

    /// Removes the platform's keys: everybody is unknown then.
    pub async fn forget(&self) -> Outcome {
        let script = "local n = 0 for _, k in ipairs(redis.call('KEYS', ARGV[1])) do \
                      n = n + redis.call('UNLINK', k) end return n";
        let removed = self.ask(&format!("EVAL \"{script}\" 0 {}*", self.prefix)).await?;
        ensure!(removed.starts_with(':'), "keys are not removed: {removed}");
        Ok(())
    }

    async fn ask(&self, question: &str) -> Outcome<String> {
        let mut asking = self.asking.lock().await;
        asking.questions.write_all(format!("{question}\r\n").as_bytes()).await?;
        let answer = line(&mut asking.answers).await?;
        if answer.starts_with('$') {
            return line(&mut asking.answers).await;
        }
        Ok(answer)
    }
}

/// Reads `1.2 [0 127.0.0.1:5] "MGET" "a" "b"`, if it is a client's and has keys of ours.
fn command(line: &str, prefix: &str) -> Option<Command> {
    let (from, rest) = line.split_once("] ")?;
    let words: Vec<&str> = rest.trim_matches('"').split("\" \"").collect();
    let (name, arguments) = words.split_first()?;
    let keys = arguments.iter().filter(|word| word.starts_with(prefix) && !word.ends_with('*'));
    let keys: Vec<_> = keys.map(|key| (*key).to_owned()).collect();
    let ours = !keys.is_empty() && !from.ends_with("lua");
    ours.then(|| Command { name: name.to_uppercase(), keys })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_redis_shows() {
        let read = |line| command(line, "p:");
        let mget =
            read(r#"+1339518083.107412 [0 127.0.0.1:60866] "mget" "p:1" "p:2" "q:3""#).unwrap();
        assert_eq!((mget.name.as_str(), mget.keys.len()), ("MGET", 2));
        assert_eq!(read(r#"+1339518083.1 [0 127.0.0.1:60866] "mget" "q:3""#), None);
        assert_eq!(read(r#"+1339518083.1 [0 lua] "GET" "p:3""#), None);
        assert_eq!(read("+OK"), None);
    }
}
