//! Reviews by their keys, and what is on the screen after them.

use super::{
    model::{Choice, Effect, Key, Page, Review},
    screen,
};
use crate::commands::keep::Keeping;
use ratatui_core::{backend::TestBackend, terminal::Terminal};
use sweeper_core::{
    deed::{Deed, Target},
    model::{CloudId, Timestamp},
    money::{Amount, Basis},
    observe::Fields,
    plan::{Action, Completeness, FORMAT, Needs, Plan, Risk, Totals},
    policy::{Approve, Consent},
    report::{EvidenceOf, MonthlyCost},
};

fn action(no: u32, name: &str, usd: Option<&str>, risk: Risk) -> Action {
    Action {
        no,
        digest: String::new(),
        policy: "disks".to_owned(),
        detector: "unattached-disk".to_owned(),
        target: Target {
            kind: "aws.ec2-volume".to_owned(),
            cloud: CloudId::Aws,
            account: "111122223333".to_owned(),
            region: "us-east-1".to_owned(),
            listed_in: "us-east-1".to_owned(),
            native_id: format!("vol-{no:04}"),
            uid: String::new(),
            name: name.to_owned(),
            created: Timestamp::parse("2026-01-02T03:04:05Z"),
        },
        expects: Fields::default(),
        deed: Deed::Delete,
        keep: None,
        risk,
        reversal: "nothing of it is kept".to_owned(),
        cascade: Vec::new(),
        after: Vec::new(),
        owner: Some("team-storage".to_owned()),
        owner_from: "tag owner".to_owned(),
        needs: Needs { approve: Approve::Admin, consent: Consent::Objection },
        monthly_cost: MonthlyCost {
            amount: usd.and_then(Amount::parse),
            currency: "USD".to_owned(),
            basis: Basis::List,
        },
        reason: "found for 30 days".to_owned(),
        because: vec![EvidenceOf {
            fact: "attachments".to_owned(),
            value: "0".to_owned(),
            source: "ec2:DescribeVolumes".to_owned(),
        }],
        assuming: Vec::new(),
    }
}

fn plan() -> Plan {
    let mut actions = vec![
        action(1, "scratch", Some("8.00"), Risk::Reversible),
        action(2, "logs", Some("12.50"), Risk::OneWay),
        action(3, "\u{1b}[2J\u{202e}evil\nname", None, Risk::Reversible),
        action(4, "old", Some("1.25"), Risk::Recreatable),
    ];
    actions[3].after = vec![1];
    let taken_at = Timestamp::parse("2026-11-26T08:00:00Z").unwrap();
    Plan {
        format: FORMAT.to_owned(),
        id: "3f9c0e1d22aa".repeat(6)[..64].to_owned(),
        deployment: "d".to_owned(),
        tool: "sweeper".to_owned(),
        survey: String::new(),
        taken_at,
        made: taken_at,
        expires: taken_at.plus(86_400),
        requester: "bob@example.com".to_owned(),
        policies: std::collections::BTreeMap::new(),
        completeness: Completeness::default(),
        totals: Totals::default(),
        actions,
        held: Vec::new(),
    }
}

/// Keeps what has a reason and ends in 2027.
fn check(wanted: &Keeping) -> Result<(), String> {
    if wanted.reason.is_empty() {
        return Err("it needs a reason".to_owned());
    }
    if wanted.until.starts_with("2027-") { Ok(()) } else { Err(format!("`{}` is no date", wanted.until)) }
}

fn review() -> Review {
    Review::new(plan(), Box::new(check)).unwrap()
}

/// Types a script: letters are themselves, and `<enter>`, `<esc>`, `<down>` and so on are keys.
fn press(review: &mut Review, script: &str) -> Effect {
    let mut effect = Effect::None;
    let mut rest = script;
    while let Some(first) = rest.chars().next() {
        let named = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
        let (key, after) = match named {
            Some((name, after)) => {
                let key = match name {
                    "enter" => Key::Enter,
                    "esc" => Key::Esc,
                    "tab" => Key::Tab,
                    "back" => Key::Backspace,
                    "up" => Key::Up,
                    "down" => Key::Down,
                    "pagedown" => Key::PageDown,
                    "end" => Key::End,
                    "ctrl-c" => Key::Interrupt,
                    other => panic!("no key {other}"),
                };
                (key, after)
            }
            None => (Key::Char(first), &rest[first.len_utf8()..]),
        };
        assert_eq!(effect, Effect::None, "the review had ended before `{rest}`");
        effect = review.update(key);
        rest = after;
    }
    effect
}

fn screen(review: &mut Review, width: u16, height: u16, colours: bool) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| screen::draw(review, frame, colours)).unwrap();
    let buffer = terminal.backend().buffer();
    let mut lines = Vec::new();
    for y in 0..height {
        let line: String = (0..width).map(|x| buffer[(x, y)].symbol()).collect();
        lines.push(line.trim_end().to_owned());
    }
    lines.join("\n").trim_end().to_owned()
}

fn choices(review: &Review) -> String {
    (0..review.plan.actions.len())
        .map(|index| match review.choice(index) {
            Choice::Open => '.',
            Choice::Approved => '+',
            Choice::Declined => '-',
            Choice::Kept(_) => 'k',
        })
        .collect()
}

#[test]
fn sixty_columns_are_enough() {
    let mut review = review();
    press(&mut review, "a<down>");
    let seen = screen(&mut review, 60, 24, false);
    assert_eq!(
        seen,
        "\
plan 3f9c0e1d22aa  4 actions, $21.75 a month; good until 20…
1 approved ($8.00), 0 not, 0 kept, 3 open
+    1 delete vol-0001           $8.00 team-sto… reversible
     2 delete vol-0002          $12.50 team-sto… one-way
     3 delete vol-0003               ? team-sto… reversible
     4 delete vol-0004           $1.25 team-sto… recreatable
────────────────────────────────────────────────────────────
   3  delete aws.ec2-volume:111122223333/us-east-1/vol-0003
     (\\u{1b}[2J\\u{202e}evil\\nname)  ? a month
      policy disks, owner team-storage, reversible
      undo: nothing of it is kept
      needs admin approval, objection consent
      why: unattached-disk: found for 30 days
      owner from: tag owner
      seen: attachments = 0 (ec2:DescribeVolumes)
      created: 2026-01-02T03:04:05Z






a yes  n no  k keep  / filter  s sign  ? help  q quit",
        "{seen}"
    );
}

#[test]
fn a_wide_screen_has_the_detector_and_every_size_is_drawn() {
    let mut review = review();
    let seen = screen(&mut review, 120, 30, false);
    let row = seen.lines().nth(2).unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    assert_eq!(words, ["1", "delete", "unattached-disk", "vol-0001", "$8.00", "team-storage", "reversible"], "{seen}");
    for page in ["", "/vol<enter>", "<enter>", "<esc>?", "<esc>k", "<esc>as", "<esc>q"] {
        press(&mut review, page);
        for (width, height) in [(1, 1), (30, 8), (31, 9), (60, 24), (60, 200), (300, 12), (80, 10)] {
            screen(&mut review, width, height, true);
        }
    }
    assert!(screen(&mut review, 20, 5, true).starts_with("make the window"));
}

#[test]
fn colour_says_nothing_that_letters_do_not() {
    let mut review = review();
    press(&mut review, "aa");
    let mut terminal = Terminal::new(TestBackend::new(60, 24)).unwrap();
    let mut coloured = |colours| {
        terminal.draw(|frame| screen::draw(&mut review, frame, colours)).unwrap();
        let buffer = terminal.backend().buffer();
        let reset = ratatui_core::style::Color::Reset;
        buffer.content.iter().filter(|cell| cell.fg != reset || cell.bg != reset).count()
    };
    assert_eq!(coloured(false), 0);
    assert!(coloured(true) > 0);
}

#[test]
fn what_is_signed_is_what_was_approved() {
    let mut review = review();
    assert_eq!(press(&mut review, "ana"), Effect::None);
    assert_eq!(choices(&review), "+-+.");
    // Nothing but the number goes on.
    assert_eq!(press(&mut review, "s3<enter>"), Effect::None);
    assert_eq!(review.said, "type 2 to go on, or Esc to go back");
    assert_eq!(press(&mut review, "2<enter>"), Effect::Sign);
    assert_eq!(review.approved().map(|action| action.no).collect::<Vec<_>>(), [1, 3]);
    let counts = review.counts();
    assert_eq!((counts.approved, counts.unpriced, counts.usd), (2, 1, Amount::parse("8").unwrap()));
}

#[test]
fn the_end_says_what_cannot_be_had_back_and_what_would_be_left() {
    let mut review = review();
    press(&mut review, "n<down><up>aaa<down>s");
    let seen = screen(&mut review, 80, 24, false);
    assert_eq!(
        seen,
        "\
about to sign plan 3f9c0e1d22aa

approved: 3 actions, $13.75 a month, and 1 without a known price
  delete, one-way: 1
  delete, recreatable: 1
  delete, reversible: 1
not approved: 1
not decided, and so not approved: 0
kept, each by an exception: 0
cannot be had back: 1
  2 aws.ec2-volume:111122223333/us-east-1/vol-0002: nothing of it is kept
approved, and yet would be left: 1
  4 comes after 1, which is not approved









type 3 and Enter to sign; Esc goes back
>",
        "{seen}"
    );
}

#[test]
fn keeping_takes_a_reason_and_an_end() {
    let mut review = review();
    press(&mut review, "kneeded for the audit<enter>soon<enter>");
    assert_eq!(review.said, "`soon` is no date");
    assert!(matches!(review.page, Page::Keep(_)));
    let seen = screen(&mut review, 60, 24, false);
    assert!(seen.contains("reason: needed for the audit") && seen.contains("until (2027-01-31): soon"), "{seen}");
    press(&mut review, "<back><back><back><back>2027-03-01<enter>");
    assert_eq!(choices(&review), "k...");
    let kept = Keeping {
        resource: "aws.ec2-volume:111122223333/us-east-1/vol-0001".to_owned(),
        until: "2027-03-01".to_owned(),
        reason: "needed for the audit".to_owned(),
    };
    assert_eq!(review.kept(), [kept]);
    // Approving everything does not approve what somebody keeps, nor does it lose the reason.
    press(&mut review, "A");
    assert_eq!(choices(&review), "k+++");
    assert_eq!(review.said, "3 approved, of which 1 cannot be taken back; 1 stay as they were");
    press(&mut review, "N");
    assert_eq!(choices(&review), "k---");
    // What is only kept needs no signature, and ends the same way.
    assert_eq!(press(&mut review, "s1<enter>"), Effect::Sign);
    assert_eq!(review.approved().count(), 0);
}

#[test]
fn a_filter_narrows_what_all_means() {
    let mut review = review();
    press(&mut review, "/ONE-WAY<enter>");
    assert_eq!(review.shown, [1]);
    press(&mut review, "N<esc>");
    assert_eq!((choices(&review).as_str(), review.shown.len()), (".-..", 4));
    press(&mut review, "A");
    assert_eq!(choices(&review), "+-++", "what was declined stays so");
    press(&mut review, "/nothing has this<enter>");
    assert!(review.current().is_none());
    // Keys of an action do nothing where there is none.
    press(&mut review, "anku<enter><down><end>AN");
    assert_eq!(choices(&review), "+-++");
    assert!(screen(&mut review, 60, 24, false).contains("no action has this text"));
}

#[test]
fn nothing_is_lost_without_a_question() {
    for quit in ["q", "<ctrl-c>"] {
        assert_eq!(press(&mut review(), quit), Effect::Quit, "nothing was decided");
        for before in ["a", "n", "a<enter>", "as", "a?"] {
            let mut review = review();
            // Where `q` closes a page, Ctrl-C leaves.
            let quit = if before == "a" || before == "n" { quit } else { "<ctrl-c>" };
            assert_eq!(press(&mut review, &format!("{before}{quit}")), Effect::None, "{before}");
            assert!(screen(&mut review, 60, 24, false).contains("Leave? y/n"), "{before}");
            assert_eq!(press(&mut review, "n"), Effect::None);
            assert_eq!(review.page, Page::List);
            assert_eq!(press(&mut review, "qy"), Effect::Quit);
        }
    }
    assert_eq!(press(&mut review(), "s"), Effect::None);
}

#[test]
fn no_key_signs_what_was_not_approved() {
    use proptest::prelude::*;
    let key = prop_oneof![
        proptest::sample::select(vec![
            Key::Enter,
            Key::Esc,
            Key::Tab,
            Key::Backspace,
            Key::Up,
            Key::Down,
            Key::PageUp,
            Key::PageDown,
            Key::Home,
            Key::End,
            Key::Interrupt,
        ]),
        proptest::sample::select("anukANsq/?1234y2027-".chars().collect::<Vec<_>>()).prop_map(Key::Char),
    ];
    let runner = proptest::collection::vec(key, 0..60);
    proptest!(|(keys in runner)| {
        let mut review = review();
        for key in keys {
            let before = choices(&review);
            let effect = review.update(key);
            let _ = screen(&mut review, 60, 20, true);
            match effect {
                Effect::None => {}
                Effect::Quit => break,
                Effect::Sign => {
                    prop_assert!(matches!(review.page, Page::End(_)) && key == Key::Enter);
                    prop_assert_eq!(&before, &choices(&review));
                    prop_assert!(before.contains('+') || before.contains('k'));
                    break;
                }
            }
            // Only these keys approve.
            let approved = |text: &str| text.matches('+').count();
            if approved(&choices(&review)) > approved(&before) {
                prop_assert!(matches!(key, Key::Char('a' | 'A')));
            }
        }
    });
}
