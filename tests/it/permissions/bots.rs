//! Everything that a bot's credentials must not do, each tried against the server of a running
//! platform with credentials that an owner downloaded; and what they are for, which works.

use natter_tests::{Context as _, Outcome, ensure};
use serde_json::json;

use super::{next, user::User};
use crate::support::{Bot, World, play};

/// A bot and another, both of one channel, connected as users whose refusals are seen.
struct Two {
    own: Bot,
    other: Bot,
    channel: u64,
}

impl Two {
    async fn new(world: &World) -> Outcome<Self> {
        let (owner, _, channel) = world.channel_of_two().await?;
        let own = Bot::of(&owner, world, "own").await?;
        let other = Bot::of(&owner, world, "other").await?;
        for bot in [&own, &other] {
            owner.add_bot(channel, bot).await?;
        }
        Ok(Self { own, other, channel })
    }

    async fn user(&self, world: &World) -> Outcome<User> {
        User::with(&world.nats, &self.own.id.to_string(), &self.own.creds).await
    }
}

/// What a bot may not publish to.
fn not_said(two: &Two) -> Vec<String> {
    let (own, other, channel) = (two.own.id, two.other.id, two.channel);
    let mut all = vec![
        // In another's name, in all names, or in none.
        format!("bot.{other}.send.{channel}"),
        format!("bot.{other}.api.users.get"),
        format!("bot.{own}0.send.{channel}"),
        format!("bot.{own}.send.{channel}.more"),
        format!("bot.{own}"),
        // What bots are given, and how far that is.
        format!("bot.{own}.events"),
        format!("bot.{other}.events"),
        // Others' events, also as an owner of the consumer would.
        format!("$JS.API.CONSUMER.MSG.NEXT.BOTS.bot_{other}"),
        format!("$JS.ACK.BOTS.bot_{other}.1.1.1.1.1"),
        format!("$JS.API.CONSUMER.INFO.BOTS.bot_{own}"),
        format!("$JS.API.CONSUMER.INFO.BOTS.bot_{other}"),
        format!("$JS.API.CONSUMER.DELETE.BOTS.bot_{own}"),
        format!("$JS.API.CONSUMER.CREATE.BOTS.bot_{own}"),
        format!("$JS.API.CONSUMER.CREATE.BOTS.bot_{own}.bot.{other}.events"),
        format!("$JS.API.CONSUMER.DURABLE.CREATE.BOTS.bot_{own}"),
        format!("$JS.API.CONSUMER.PAUSE.BOTS.bot_{own}"),
        format!("$JS.API.CONSUMER.UNPIN.BOTS.bot_{own}"),
        format!("$JS.API.DIRECT.GET.BOTS.bot.{other}.events"),
        // Inboxes: its own is for those who were asked.
        format!("_INBOX_{own}.x"),
        format!("_INBOX_{other}.x"),
    ];
    let fixed = [
        "delivered.0",
        "log.1.c.513",
        "log.2.d.4.9.258",
        "log.255.u.255",
        "ev.log.1.c.513",
        "ev.eph.1.c.513",
        "ev.eph.sessions",
        "ev.eph.profiles",
        "ev.eph.edges",
        "svc.auth.sign_in",
        "svc.bots.credentials",
        "svc.channels.access",
        "svc.history.0.range",
        "svc.profiles.get",
        "dead.0",
        "_INBOX_edge.x",
        "_INBOX_auth.x",
        "_INBOX.x",
        "_R_.abc.def",
        "$SRV.PING",
        "$SRV.STATS",
        "$KV.natter_leases.0",
        "$JS.API.INFO",
        "$JS.API.ACCOUNT.PURGE.BUS",
        "$JS.API.STREAM.NAMES",
        "$JS.API.STREAM.LIST",
        "$JS.API.STREAM.INFO.BOTS",
        "$JS.API.STREAM.INFO.LOG_0",
        "$JS.API.STREAM.CREATE.MINE",
        "$JS.API.STREAM.UPDATE.BOTS",
        "$JS.API.STREAM.DELETE.BOTS",
        "$JS.API.STREAM.PURGE.BOTS",
        "$JS.API.STREAM.MSG.GET.BOTS",
        "$JS.API.STREAM.MSG.GET.LOG_0",
        "$JS.API.STREAM.MSG.DELETE.BOTS",
        "$JS.API.STREAM.SNAPSHOT.BOTS",
        "$JS.API.CONSUMER.NAMES.BOTS",
        "$JS.API.CONSUMER.LIST.BOTS",
        "$JS.API.CONSUMER.CREATE.BOTS",
        "$JS.API.CONSUMER.CREATE.LOG_0",
        "$JS.API.CONSUMER.MSG.NEXT.LOG_0.reader",
        "$JS.API.META.LEADER.STEPDOWN",
        "$JS.ACK.LOG_0.reader.1.1.1.1.1",
        "$JS.FC.BOTS.x.y",
        "$SYS.REQ.CLAIMS.UPDATE",
        "$SYS.REQ.CLAIMS.DELETE",
        "$SYS.REQ.CLAIMS.LIST",
        "$SYS.REQ.SERVER.PING",
        "$SYS.REQ.USER.INFO",
        "$SYS.REQ.ACCOUNT.PING.CONNZ",
        "$SYS.REQ.ACCOUNT.BUS.CLAIMS.LOOKUP",
        "anything.else",
    ];
    all.extend(fixed.map(str::to_owned));
    all
}

/// What a bot may not subscribe to.
fn not_heard(two: &Two) -> Vec<String> {
    let (own, other) = (two.own.id, two.other.id);
    let mut all = vec![
        format!("bot.{own}.>"),
        format!("bot.{own}.events"),
        format!("bot.{own}.send.*"),
        format!("bot.{other}.events"),
        format!("_INBOX_{other}.>"),
        format!("_INBOX_{other}.*"),
        format!("_INBOX_{own}"),
        format!("$JS.ACK.BOTS.bot_{own}.>"),
    ];
    let fixed = [
        ">",
        "*",
        "*.>",
        "*.*",
        "bot.>",
        "bot.*.send.*",
        "bot.*.events",
        "_INBOX.>",
        "_INBOX_edge.>",
        "_R_.>",
        "log.>",
        "ev.>",
        "ev.log.>",
        "ev.eph.>",
        "svc.>",
        "dead.>",
        "delivered.*",
        "$JS.>",
        "$JS.API.>",
        "$JS.ACK.>",
        "$KV.>",
        "$SRV.>",
        "$SRV.PING",
        "$SYS.>",
        "$SYS.ACCOUNT.>",
        "anything.else",
    ];
    all.extend(fixed.map(str::to_owned));
    all
}

#[test]
fn a_bots_credentials_do_nothing_that_is_not_the_bots() {
    play(async |world| {
        let two = Two::new(&world).await?;
        let mut bot = two.user(&world).await?;
        let mut wrong = Vec::new();
        for subject in not_said(&two) {
            if bot.may_say(&subject).await? {
                wrong.push(format!("may publish to {subject}"));
            }
        }
        for subject in not_heard(&two) {
            if bot.may_hear(&subject).await? {
                wrong.push(format!("may subscribe to {subject}"));
            }
        }
        ensure!(wrong.is_empty(), "{wrong:#?}");
        // The control: what they are for.
        let inbox = format!("_INBOX_{}.>", two.own.id);
        ensure!(bot.may_hear(&inbox).await?, "may not hear {inbox}");
        two.own.say(two.channel, "hello").await?;
        two.own.ask("api.conversations.list", &json!({})).await?;
        let first = two.own.take().await?;
        ensure!(first.name == "MEMBER_ADD", "{first:?}");
        Ok(())
    });
}

#[test]
fn an_answer_cannot_be_sent_where_it_would_do_something() {
    play(async |world| {
        let two = Two::new(&world).await?;
        let (own, other, channel) = (two.own.id, two.other.id, two.channel);
        let mut bot = two.user(&world).await?;
        // An event that the other bot has not acknowledged yet, and the place for that.
        let pull = format!("$JS.API.CONSUMER.MSG.NEXT.BOTS.bot_{other}");
        let victim = User::with(&world.nats, &other.to_string(), &two.other.creds).await?;
        let inbox = victim.client.new_inbox();
        let mut events = victim.client.subscribe(inbox.clone()).await?;
        let one = json!({ "batch": 1, "expires": 5_000_000_000_u64 }).to_string();
        victim.client.publish_with_reply(pull.clone(), inbox, one.into()).await?;
        let event = next(&mut events, "an event of the other bot's").await?;
        let ack = event.reply.during("no place to acknowledge it")?;
        // A refusal without events has an empty body, which would acknowledge.
        let asks = [
            format!("$JS.API.CONSUMER.MSG.NEXT.BOTS.bot_{own}"),
            format!("bot.{own}.send.{channel}"),
        ];
        for subject in &asks {
            ensure!(!bot.may_ask_for(subject, &ack).await?, "{subject} answered at {ack}");
            // A question as the answer's place: it is carried out by nobody.
            for place in [format!("bot.{other}.send.{channel}"), pull.clone()] {
                bot.may_ask_for(subject, &place).await?;
            }
        }
        // Everything that the other bot was to get is still there for it, from the first on.
        victim.client.publish(ack, "-NAK".into()).await?;
        victim.client.flush().await?;
        let first = two.other.take().await?;
        ensure!(first.name == "MEMBER_ADD", "{first:?}");
        Ok(())
    });
}

#[test]
fn another_bots_file_or_half_of_it_opens_nothing() {
    play(async |world| {
        let two = Two::new(&world).await?;
        let lines = |creds: &str| creds.lines().map(str::to_owned).collect::<Vec<_>>();
        let (own, other) = (lines(&two.own.creds), lines(&two.other.creds));
        let seed = own.iter().rposition(|line| line.starts_with("SU")).during("no seed")?;
        let mut mixed = own.clone();
        mixed[seed].clone_from(&other[seed]);
        let refused = User::with(&world.nats, "mixed", &mixed.join("\n")).await;
        ensure!(refused.is_err(), "one bot's token was taken with another's seed");
        // A token changed by hand is no longer what was signed.
        let mut forged = own;
        let token = &mut forged[1];
        let middle = token.len() / 2;
        let changed = if token.as_bytes()[middle] == b'A' { "B" } else { "A" };
        token.replace_range(middle..=middle, changed);
        let refused = User::with(&world.nats, "forged", &forged.join("\n")).await;
        ensure!(refused.is_err(), "a changed token was taken");
        Ok(())
    });
}
