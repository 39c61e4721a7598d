//! Lines as real logs have them, and days made of them.

use proptest::prelude::*;

use super::*;

#[test]
fn reads_what_was_said() {
    let said = |line| match Line::parse(line) {
        Line::Said { nick, text } => Some((nick, text)),
        _ => None,
    };
    assert_eq!(said("[09:14] <will> hi <b> ] there"), Some(("will", " hi <b> ] there")));
    assert_eq!(said("[09:14] <|QuaD-> totem xine\r"), Some(("|QuaD-", " totem xine")));
    assert_eq!(said("[06:03] <bur[n] er> anyone"), Some(("bur[n] er", " anyone")));
    assert_eq!(said("[06:03] <[optik] > hola"), Some(("[optik]", " hola")));
    assert_eq!(said("[09:43] <drcode>"), Some(("drcode", "")));
    for other in ["", "[9:14] <a> b", "[09:14] a> b", "[09:14] <a b", "[09:14] <> b", "<a> b"] {
        assert_eq!(said(other), None, "{other}");
    }
}

#[test]
fn reads_joins_and_nothing_else_that_starts_alike() {
    let joined = |line| match Line::parse(line) {
        Line::Joined { nick } => Some(nick),
        _ => None,
    };
    let join = "=== vassie [~vassie@195.153.177.75]  has joined #ubuntu";
    assert_eq!(joined(join), Some("vassie"));
    let bracketed = "=== [optik]  [~optik@200.106.11.64]  has joined #ubuntu";
    assert_eq!(joined(bracketed), Some("[optik]"));
    let spaced = "=== bur[n] er [~norml@c-67-173-243-73.client.net]  has joined #ubuntu";
    assert_eq!(joined(spaced), Some("bur[n] er"));
    assert_eq!(joined("=== devFran [~Fran@84-120]  has left #Ubuntu []"), None);
    assert_eq!(joined("=== sid77 is now known as sid77_"), None);
    assert_eq!(joined("=== sid77 has joined #ubuntu"), None);
}

fn day(text: &str) -> Input {
    Input::from_logs(&[("d".into(), text.into())], None)
}

#[test]
fn authors_join_once_before_they_speak() {
    let input = day("[01:00] <a> one\n=== b [b@h]  has joined #x\n=== mute [m@h]  has joined #x\n\
         [01:01] <b> two\n=== a [a@h]  has joined #x\n[01:02] <a> three\n");
    assert_eq!(input.authors, ["a", "b"]);
    let say = |author, content: &str| Step::Say { author, content: content.into() };
    let join = |author| Step::Join { author };
    let wanted = [join(0), say(0, "one"), join(1), say(1, "two"), say(0, "three")];
    assert_eq!(input.days[0].steps, wanted);
    assert_eq!((input.messages(), input.joins()), (3, 2));
}

#[test]
fn what_normalizes_to_nothing_is_left_out_and_counted() {
    let long = "x".repeat(4001);
    let input = day(&format!("[01:00] <a> \u{2}\u{f} \n[01:00] <b> {long}\n[01:00] <c> ok\n"));
    assert_eq!((input.empty, input.too_long, input.messages()), (1, 1, 1));
    assert_eq!(input.authors, ["c"]);
}

#[test]
fn a_limit_is_spread_over_the_days() {
    let text = "[01:00] <a> x\n".repeat(10);
    let logs = [("a".to_owned(), text.clone()), ("b".into(), text.clone()), ("c".into(), text)];
    let input = Input::from_logs(&logs, Some(8));
    let sizes: Vec<usize> = input.days.iter().map(|day| day.steps.len() - 1).collect();
    assert_eq!(sizes, [3, 3, 2]);
}

#[test]
fn a_day_in_parts_says_the_same_and_everyone_joins_each_part() {
    let lines: Vec<_> = (0..7).map(|n| format!("[01:00] <{}> {n}", ["a", "b"][n % 2])).collect();
    let whole = day(&lines.join("\n"));
    let parts = whole.clone().cut(3);
    assert_eq!(parts.sizes(), [3, 2, 2]);
    assert_eq!(parts.joins(), 6);
    let says = |input: &Input| {
        let steps = input.days.iter().flat_map(|day| day.steps.clone());
        steps.filter(|step| matches!(step, Step::Say { .. })).collect::<Vec<_>>()
    };
    assert_eq!(says(&parts), says(&whole));
    assert_eq!(whole.clone().cut(100).days.len(), 7, "no part without a message");
    assert_eq!(whole.clone().cut(1).days[0].name, "d");
}

proptest! {
    #[test]
    fn no_line_is_too_strange(line in any::<String>()) {
        let _ = Line::parse(&line);
    }

    #[test]
    fn what_was_said_is_read_back(nick in "[A-Za-z0-9_|^`-]{1,20}", text in "[^\n\r]{0,200}") {
        let line = format!("[23:59] <{nick}>{text}");
        prop_assert_eq!(Line::parse(&line), Line::Said { nick: &nick, text: &text });
    }
}
