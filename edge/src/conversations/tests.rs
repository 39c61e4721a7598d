//! The pure parts of building a view.

use bus_schema::ids::EntryId;
use bus_schema::subjects::DmSubject;
use bus_schema::text::ChannelName;

use super::*;

fn want(id: u64, stream: u16, messages: u32) -> Wanted {
    let place = LogSubject::Channel(ConversationId(id));
    let of = SummaryOf { place, since: EntryId::ZERO, messages };
    Wanted { id: ConversationId(id), stream: StreamIndex(stream), of }
}

fn shown(id: u64, place: LogSubject) -> Shown {
    let summary = Summary { last_id: None, read_id: None, unread: 0, messages: Vec::new() };
    let of = SummaryOf { place, since: EntryId::ZERO, messages: 0 };
    let wanted = Wanted { id: ConversationId(id), stream: StreamIndex(0), of };
    Shown { wanted, summary, with_messages: false }
}

#[test]
fn batches_are_of_one_stream_bounded_and_whole() {
    let all: Vec<_> = (0..1_201).map(|n| want(n, u16::from(n % 3 == 0), 0)).collect();
    let batches = batches(all);
    let mut positions = Vec::new();
    for (stream, batch) in &batches {
        assert!((1..=SUMMARIES_MAX).contains(&batch.len()));
        assert!(batch.iter().all(|(_, wanted)| wanted.stream == *stream));
        positions.extend(batch.iter().map(|(position, _)| *position));
    }
    positions.sort_unstable();
    assert_eq!(positions, (0..1_201).collect::<Vec<_>>());
}

#[test]
fn messages_are_asked_for_one_conversation_at_a_time() {
    let batches = batches((0..10).map(|n| want(n, 0, READY_MESSAGES)).collect());
    assert_eq!(batches.len(), 10);
}

#[test]
fn conversations_show_what_their_kind_has() {
    let place = LogSubject::Channel(ConversationId(7));
    let name = ChannelName::parse("c").unwrap();
    let what = ListedKind::Channel { name, owner_id: UserId(1), revision: 1, since: EntryId::ZERO };
    let channel = present(UserId(2), &Listed { place, what }, shown(7, place)).unwrap();
    assert_eq!((channel.owner_id, channel.user_id), (Some(UserId(1)), None));
    assert_eq!(channel.messages, None);

    let place = LogSubject::Dm(DmSubject::new(UserId(1), UserId(2), ConversationId(8)).unwrap());
    let listed = Listed { place, what: ListedKind::Dm { opened: true } };
    let with_messages = Shown { with_messages: true, ..shown(8, place) };
    let dm = present(UserId(2), &listed, with_messages).unwrap();
    assert_eq!((dm.owner_id, dm.user_id), (None, Some(UserId(1))));
    assert_eq!(dm.messages, Some(Vec::new()));
    assert_eq!(present(UserId(3), &listed, shown(8, place)), None);

    let people: Vec<_> = mentioned(&[channel, dm]).collect();
    assert_eq!(people, [UserId(1), UserId(1)]);
}
