//! What each user of the bus must be able to do, and what nobody may.
//!
//! Invariant: written by hand from what the roles do, not read from the product's own table, so that
//! a slip there shows here. Every subject of one user that is not another's too is tried by the
//! other, and must be refused; so is everything of `NOBODY_…`, by all.

/// One user of the bus.
pub(crate) struct Row {
    /// Its name: of its key file, in its inbox prefix.
    pub(crate) name: &'static str,
    /// What it must be able to publish to.
    pub(crate) says: &'static [&'static [&'static str]],
    /// What it must be able to subscribe to, beside its inbox.
    pub(crate) hears: &'static [&'static str],
}

impl Row {
    pub(crate) fn may_say(&self, subject: &str) -> bool {
        self.says.iter().any(|some| some.contains(&subject))
    }

    pub(crate) fn may_hear(&self, subject: &str) -> bool {
        self.hears.contains(&subject) || subject == self.inbox()
    }

    pub(crate) fn inbox(&self) -> String {
        format!("_INBOX_{}.>", self.name)
    }
}

const ANSWERS_FOR_ITSELF: &str = "$SRV.>";

const READING_THE_LOG: &[&str] = &[
    "$JS.API.INFO",
    "$JS.API.STREAM.INFO.LOG_0",
    "$JS.API.CONSUMER.CREATE.LOG_0",
    "$JS.API.CONSUMER.CREATE.LOG_0.reader",
    "$JS.API.CONSUMER.MSG.NEXT.LOG_0.reader",
    "$JS.API.CONSUMER.INFO.LOG_0.reader",
    "$JS.API.CONSUMER.DELETE.LOG_0.reader",
    "$JS.FC.LOG_0.reader.x",
];

const LOOKING_AT_THE_LOG: &[&str] = &["$JS.API.INFO", "$JS.API.STREAM.INFO.LOG_0"];

/// Every user. `tests/it/permissions.rs` fails when the product has one that is not here.
pub(crate) const USERS: [Row; 12] = [
    Row {
        name: "edge",
        says: &[
            READING_THE_LOG,
            &["log.1.c.513", "log.2.d.4.9.258"],
            &["ev.eph.1.c.513", "ev.eph.2.d.4.9.258", "ev.eph.255.u.255", "ev.eph.edges"],
            &["ev.eph.positions", "svc.audit.0.report"],
            &["svc.auth.sign_in", "svc.auth.keys", "svc.profiles.get", "svc.channels.access"],
            &["svc.history.0.range", "svc.bots.create", "svc.bots.renew", "svc.bots.which"],
        ],
        hears: &[
            "ev.>",
            "ev.log.>",
            "ev.*.1.c.513",
            "ev.*.*.d.4.*.*",
            "ev.eph.digest.*",
            "ev.eph.floor.*",
            "ev.eph.profiles",
            "ev.eph.sessions",
            "ev.eph.positions",
        ],
    },
    Row {
        name: "auth",
        says: &[&["ev.eph.sessions", "svc.profiles.get", "$SRV.PING.natter-auth.x"]],
        hears: &["svc.auth.>", "svc.auth.sign_in", ANSWERS_FOR_ITSELF],
    },
    Row {
        name: "profiles",
        says: &[
            &["ev.eph.profiles", "ev.eph.1.c.513", "ev.eph.255.u.255"],
            &["svc.channels.access", "svc.auth.keys", "$SRV.PING.natter-profiles.x"],
        ],
        hears: &["svc.profiles.>", "svc.profiles.get", "ev.eph.profiles", ANSWERS_FOR_ITSELF],
    },
    Row {
        name: "channels",
        says: &[
            LOOKING_AT_THE_LOG,
            &["log.1.c.513", "log.255.u.255", "ev.eph.255.u.255"],
            &["svc.profiles.get", "svc.auth.keys", "$SRV.PING.natter-channels.x"],
        ],
        hears: &["svc.channels.>", "svc.channels.access", ANSWERS_FOR_ITSELF],
    },
    Row {
        name: "history",
        says: &[READING_THE_LOG, &["ev.eph.digest.0", "$SRV.PING.natter-history.x"]],
        hears: &["svc.history.>", "svc.history.0.range", "ev.eph.floor.*", ANSWERS_FOR_ITSELF],
    },
    Row {
        name: "persister",
        says: &[
            READING_THE_LOG,
            &["ev.eph.floor.0", "dead.0", "$JS.API.STREAM.PURGE.LOG_0"],
            &["$KV.natter_leases.0", "$JS.API.STREAM.MSG.GET.KV_natter_leases"],
            &["$JS.API.DIRECT.GET.KV_natter_leases.$KV.natter_leases.0"],
        ],
        hears: &[],
    },
    Row {
        name: "bots",
        says: &[
            &["ev.eph.profiles", "svc.channels.access", "svc.auth.keys"],
            &["$JS.API.CONSUMER.CREATE.BOTS.bot_7", "$JS.API.CONSUMER.DELETE.BOTS.bot_7"],
            &["$JS.API.CONSUMER.CREATE.BOTS.bot_7.bot.7.events", "$JS.API.STREAM.PURGE.BOTS"],
            &["$SRV.PING.natter-bots.x"],
        ],
        hears: &["svc.bots.>", "svc.bots.create", ANSWERS_FOR_ITSELF],
    },
    Row {
        name: "ingress",
        says: &[
            LOOKING_AT_THE_LOG,
            &["log.1.c.513", "log.2.d.4.9.258", "ev.eph.1.c.513", "ev.eph.2.d.4.9.258"],
            &["svc.profiles.get", "svc.channels.access", "svc.history.0.range"],
            &["svc.bots.create", "svc.bots.renew", "svc.bots.which"],
            &["$SRV.PING.natter-ingress.x"],
        ],
        hears: &["bot.*.send.*", "bot.*.api.*.*", "bot.7.send.9", ANSWERS_FOR_ITSELF],
    },
    Row {
        name: "delivery",
        says: &[
            READING_THE_LOG,
            &["bot.7.events", "delivered.0", "$JS.API.STREAM.MSG.GET.BOTS"],
            &["$JS.API.CONSUMER.INFO.BOTS.bot_7"],
            &["svc.bots.create", "svc.bots.renew", "svc.bots.which"],
            &["$KV.natter_leases.0", "$JS.API.STREAM.MSG.GET.KV_natter_leases"],
            &["$JS.API.DIRECT.GET.KV_natter_leases.$KV.natter_leases.0"],
        ],
        hears: &[],
    },
    Row {
        name: "auditor",
        says: &[
            READING_THE_LOG,
            &["$JS.API.STREAM.MSG.GET.BOTS", "$SRV.PING.natter-audit.x"],
            &["$KV.natter_leases.0", "$JS.API.STREAM.MSG.GET.KV_natter_leases"],
            &["$JS.API.DIRECT.GET.KV_natter_leases.$KV.natter_leases.0"],
        ],
        hears: &["svc.audit.>", "svc.audit.0.report", "ev.eph.positions", ANSWERS_FOR_ITSELF],
    },
    Row {
        name: "setup",
        says: &[
            LOOKING_AT_THE_LOG,
            &["$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST"],
            &["$JS.API.STREAM.CREATE.LOG_0", "$JS.API.STREAM.UPDATE.LOG_0"],
            &["$JS.API.STREAM.CREATE.DEAD", "$JS.API.STREAM.CREATE.KV_natter_leases"],
            &["$JS.API.STREAM.CREATE.BOTS"],
        ],
        hears: &[],
    },
    Row {
        name: "operator",
        says: &[
            LOOKING_AT_THE_LOG,
            &["$JS.API.STREAM.NAMES", "$JS.API.STREAM.LIST"],
            &["$SRV.PING", "$SRV.STATS.natter-auth", "svc.audit.0.report"],
            &["$SRV.PING.natter-auth.x", "$SRV.PING.natter-profiles.x"],
            &["$SRV.PING.natter-channels.x", "$SRV.PING.natter-history.x"],
            &["$SRV.PING.natter-bots.x", "$SRV.PING.natter-ingress.x", "$SRV.PING.natter-audit.x"],
        ],
        hears: &[],
    },
];

/// What nobody may publish to. Inboxes are tried beside these.
pub(crate) const NOBODY_SAYS: &[&str] = &[
    // Only the server says what is stored.
    "ev.log.1.c.513",
    "ev.log.2.d.4.9.258",
    "ev.log.255.u.255",
    // Nobody loses or rewrites what is kept.
    "$JS.API.STREAM.DELETE.LOG_0",
    "$JS.API.STREAM.DELETE.DEAD",
    "$JS.API.STREAM.DELETE.KV_natter_leases",
    "$JS.API.STREAM.PURGE.DEAD",
    "$JS.API.STREAM.PURGE.KV_natter_leases",
    "$JS.API.STREAM.MSG.DELETE.LOG_0",
    "$JS.API.STREAM.MSG.DELETE.KV_natter_leases",
    "$JS.API.STREAM.RESTORE.LOG_0",
    "$JS.API.STREAM.PEER.REMOVE.LOG_0",
    "$JS.API.STREAM.LEADER.STEPDOWN.LOG_0",
    "$JS.API.META.LEADER.STEPDOWN",
    "$JS.API.ACCOUNT.PURGE.BUS",
    // Entries are read in order by a reader's own consumer, and in no other way.
    "$JS.API.STREAM.MSG.GET.LOG_0",
    "$JS.API.STREAM.MSG.GET.DEAD",
    "$JS.API.DIRECT.GET.LOG_0",
    "$JS.API.DIRECT.GET.LOG_0.log.1.c.513",
    "$JS.API.DIRECT.GET.DEAD.dead.0",
    "$JS.API.STREAM.SNAPSHOT.LOG_0",
    "$JS.API.CONSUMER.DURABLE.CREATE.LOG_0.reader",
    "$JS.API.CONSUMER.NAMES.LOG_0",
    "$JS.API.CONSUMER.LIST.LOG_0",
    "$JS.API.CONSUMER.CREATE.DEAD",
    "$JS.API.CONSUMER.CREATE.DEAD.reader",
    "$JS.API.CONSUMER.CREATE.DEAD.reader.dead.0",
    "$JS.API.CONSUMER.CREATE.KV_natter_leases",
    "$JS.API.CONSUMER.CREATE.KV_natter_leases.reader",
    "$JS.ACK.LOG_0.reader.1.1.1.1.1",
    // Nobody speaks for a bot, or takes what is for one.
    "bot.7.send.9",
    "bot.7.api.users.get",
    "$JS.API.CONSUMER.MSG.NEXT.BOTS.bot_7",
    "$JS.ACK.BOTS.bot_7.1.1.1.1.1",
    "$KV.another.0",
    "$SYS.REQ.SERVER.PING",
    "log.1",
    "anything.else",
];

/// What nobody may subscribe to.
pub(crate) const NOBODY_HEARS: &[&str] = &[
    ">",
    "*",
    "*.>",
    "log.>",
    "log.1.c.513",
    "log.255.u.255",
    "svc.>",
    "svc.*.>",
    "bot.>",
    "bot.7.events",
    "_INBOX.>",
    "dead.>",
    "$JS.>",
    "$JS.API.>",
    "$JS.API.STREAM.CREATE.LOG_0",
    "$KV.>",
    "$KV.natter_leases.>",
    "$SYS.>",
];
