//! A verification for a person: the verdict first, then what was checked and what that proves against whom,
//! whether anything is missing, and each finding with what it means. Edge: says what a report says; finds
//! nothing itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anstyle::AnsiColor;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_verify::coverage::{Account, EpochState};
use minutebook_verify::sampling::{Keep, RuleReport, SamplingReport};
use minutebook_verify::windows::WindowsReport;
use minutebook_verify::{Finding, Report, Severity, hex};
use serde_json::{Map, Value as Json, json};

use super::table::{self, Column};
use super::{Look, bold, coloured, dim, hanging, moment, prose, words};

/// A report with what was asked for.
#[derive(Debug, Clone, Copy)]
pub struct Verification<'a> {
    /// What was found.
    pub report: &'a Report,
    /// How deep it was to go: 0 the log, 1 the numbers, 2 the contents.
    pub level: u8,
    /// Entries of the log in the checkpoint that was seen earlier, if one was.
    pub earlier: Option<u64>,
    /// Whether a policy was given that asks for witnesses.
    pub witnesses: bool,
    /// Shows every account of completeness, however many there are.
    pub all_accounts: bool,
}

/// Accounts that are shown one by one before the rest is summed up.
const ACCOUNTS_SHOWN: usize = 20;

/// The page of a verification.
pub fn report(look: &Look, verification: &Verification<'_>) -> String {
    let mut out = String::new();
    verdict(&mut out, look, verification.report);
    identity(&mut out, look, verification.report);
    if verification.report.checkpoint.is_some() {
        checked(&mut out, look, verification);
        proved(&mut out, look, verification);
        completeness(&mut out, look, verification);
        sampling(&mut out, look, verification.report);
        windows(&mut out, look, verification.report);
    }
    findings(&mut out, look, &verification.report.findings);
    out
}

fn verdict(out: &mut String, look: &Look, report: &Report) {
    let problems = report.problems();
    let warnings = report.findings.iter().filter(|finding| finding.severity == Severity::Warning).count();
    let line = if problems > 0 {
        // One change can show in several ways; what counts is how many things are not as they were.
        let problems = report.findings.iter().filter(|finding| finding.severity == Severity::Problem);
        let places: BTreeSet<&str> = problems.map(|finding| finding.object.as_str()).collect();
        let places = words::counted(places.len() as u64, "place", "places");
        coloured(AnsiColor::Red, &bold(&format!("This trail is not as it was sealed: problems in {places}.")))
    } else {
        coloured(AnsiColor::Green, &bold("Everything that is here is as it was sealed."))
    };
    out.push_str(&line);
    if warnings > 0 {
        let _ = write!(out, " {}", words::counted(warnings as u64, "warning.", "warnings."));
    }
    out.push('\n');
    if problems > 0 {
        prose(out, "", look.prose_columns(), "They are named below, with what they mean.");
    }
}

fn identity(out: &mut String, look: &Look, report: &Report) {
    let mut pairs = Vec::new();
    let mut push = |name: &str, value: String| pairs.push((name.to_owned(), value));
    if !report.trail.is_empty() {
        push("trail", report.trail.clone());
        push("log", words::shown(look, &report.origin));
        push("signed by", words::shown(look, &report.log_key));
    }
    if let Some((size, root)) = &report.checkpoint {
        push(
            "checkpoint",
            format!("{}, root {}", words::counted(*size, "entry", "entries"), BASE64.encode(root)),
        );
    }
    if !pairs.is_empty() {
        out.push('\n');
        table::pairs(out, look, "", &pairs);
    }
}

fn checked(out: &mut String, look: &Look, verification: &Verification<'_>) {
    let report = verification.report;
    let _ = writeln!(out, "\n{}", bold("What was checked"));
    let mut item = |text: String| hanging(out, "  - ", "    ", look.prose_columns(), &text);
    let disposed = match report.disposed {
        0 => String::new(),
        some => format!(
            ", {} disposed of with {}",
            words::count(some),
            words::counted(report.disposed_records, "record", "records")
        ),
    };
    item(format!(
        "Level 0, the log: its signature, its tiles, and {} that it names{disposed}; {} of stored evidence.",
        words::counted(report.segments, "segment", "segments"),
        words::bytes(report.bytes),
    ));
    if verification.level >= 1 {
        let all = of(report.audited, report.segments - report.disposed);
        item(format!("Level 1, the numbers: number, leaf and place of each record, in {all} segments."));
    }
    if verification.level >= 2 {
        let mut unread = Vec::new();
        if report.erased > 0 {
            unread.push(format!("{} erased", words::count(report.erased)));
        }
        if report.withheld > 0 {
            unread.push(format!("{} without a key", words::count(report.withheld)));
        }
        let unread = if unread.is_empty() { String::new() } else { format!(" ({})", unread.join(", ")) };
        let all = of(report.readable, report.records - report.disposed_records);
        item(format!(
            "Level 2, the contents: every field of {all} records{unread}, in {} segments.",
            of(report.opened, report.segments - report.disposed)
        ));
    }
    if report.blobs > 0 {
        item(format!("{}, by their digests.", words::counted(report.blobs, "large value", "large values")));
    }
}

fn of(part: u64, whole: u64) -> String {
    if part == whole {
        format!("all {}", words::count(whole))
    } else {
        format!("{} of {}", words::count(part), words::count(whole))
    }
}

fn proved(out: &mut String, look: &Look, verification: &Verification<'_>) {
    let report = verification.report;
    if !report.is_clean() {
        return;
    }
    let _ = writeln!(out, "\n{}", bold("What that proves"));
    let mut item = |text: &str| hanging(out, "  - ", "    ", look.prose_columns(), text);
    item(match verification.level {
        0 => "No stored byte was changed, removed or put in since it was sealed.",
        1 => {
            "No stored byte was changed, removed or put in since it was sealed, and the records have the \
             numbers and places that the log says."
        }
        _ => {
            "No stored byte was changed, removed or put in since it was sealed, and the contents are those \
             that were committed to when they were sealed."
        }
    });
    if report.erased > 0 {
        item("Of erased records the place and the leaf are proved; what they said can no longer be read.");
    }
    let outside = verification.witnesses || report.continues_earlier;
    if verification.witnesses {
        item(
            "The witnesses that the policy asks for have cosigned the checkpoint: this holds against the \
             holder of the signing key too.",
        );
    }
    if let (true, Some(earlier)) = (report.continues_earlier, verification.earlier) {
        item(&format!(
            "The log continues the one of {} that was seen here before: what it had then was not rewritten, \
             not even by the holder of the signing key.",
            words::counted(earlier, "entry", "entries"),
        ));
    }
    if !outside {
        item(
            "This holds against everybody but the holder of the signing key, who could have made a whole \
             other log. A witness, or the checkpoint remembered from this verification, excludes that from \
             now on.",
        );
    }
}

fn completeness(out: &mut String, look: &Look, verification: &Verification<'_>) {
    let accounts = &verification.report.accounts;
    if accounts.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", bold("Is anything missing?"));
    let (own, others): (Vec<_>, Vec<_>) = accounts.iter().partition(|account| account.class == "system");
    let drawn: u64 = others.iter().map(|account| account.drawn).sum();
    let kept: u64 = others.iter().map(|account| account.kept).sum();
    let sampled: u64 = others.iter().map(|account| account.sampled_out).sum();
    let counted: u64 = others.iter().map(|account| account.counted).sum();
    let lost: u64 = others.iter().flat_map(|account| account.lost.values()).sum();
    let gaps = |wanted: bool| -> u64 {
        let ended = accounts.iter().filter(|account| (account.state != EpochState::Open) == wanted);
        ended.map(Account::unaccounted).sum()
    };
    let mut text =
        format!("{} drawn: {} kept", words::counted(drawn, "number", "numbers"), words::count(kept));
    for (number, what) in [
        (sampled, "sampled out"),
        (counted, "counted only"),
        (lost, "lost, each with its reason"),
        (gaps(false), "not sealed yet"),
    ] {
        if number > 0 {
            let _ = write!(text, ", {} {what}", words::count(number));
        }
    }
    match gaps(true) {
        0 => text.push_str(", none missing without a word."),
        missing => {
            let _ = write!(text, ", {} missing without a word.", words::count(missing));
        }
    }
    prose(out, "  ", look.prose_columns(), &text);
    table_of(out, look, verification, &others, &own);
}

/// Which policies there were, and what of them is proved.
fn sampling(out: &mut String, look: &Look, report: &Report) {
    let Some(SamplingReport { policies }) = &report.sampling else { return };
    let _ = writeln!(out, "\n{}", bold("Were the right ones kept?"));
    for policy in policies {
        let mut text = format!(
            "The policy of log entry {}{} left out {}",
            words::count(policy.entry),
            policy.key_entry.map_or_else(String::new, |entry| format!(
                ", with the key of entry {},",
                words::count(entry)
            )),
            words::counted(policy.left_out, "decision", "decisions"),
        );
        if policy.has_key {
            let _ = write!(text, " and kept {}; each was drawn for again.", words::count(policy.kept));
        } else {
            text.push_str("; without its sampling key it is not known whether the right ones.");
        }
        hanging(out, "  - ", "    ", look.prose_columns(), &text);
        for rule in policy.rules.iter().filter(|_| policy.has_key) {
            let what = match rule.keep {
                _ if rule.provable => {
                    "each number is settled by its draw; one that is otherwise is a finding"
                }
                Keep::PerSecond(_) => {
                    "cannot be proved, since there is no draw: which came first in a second, the engine alone has seen"
                }
                _ => {
                    "settled for those that it kept; of one that was left out nobody can tell any more which rule decided"
                }
            };
            let name = words::shown(look, &rule.name);
            let text = format!(
                "rule {name} of {}, {}: {what}",
                words::shown(look, &rule.models.join(", ")),
                words::shown(look, &rule.keep.to_string()),
            );
            hanging(out, "      ", "        ", look.prose_columns(), &text);
        }
    }
}

/// How many of the decisions windows have counted.
fn windows(out: &mut String, look: &Look, report: &Report) {
    let Some(WindowsReport { decisions, counted }) = report.windows.filter(|found| found.decisions > 0)
    else {
        return;
    };
    let _ = writeln!(out, "\n{}", bold("Do the windows add up?"));
    let mut text = format!(
        "They count {} of {} in the log, kept or left out, by their numbers.",
        words::count(counted),
        words::counted(decisions, "decision", "decisions"),
    );
    if counted < decisions {
        text.push_str(" The others are in windows that are not over yet.");
    }
    prose(out, "  ", look.prose_columns(), &text);
}

/// Accounts in which something is worth a look come first; after some, the rest is summed up.
fn table_of(
    out: &mut String,
    look: &Look,
    verification: &Verification<'_>,
    others: &[&Account],
    own: &[&Account],
) {
    let calm = |account: &&&Account| account.lost.is_empty() && account.unaccounted() == 0;
    let mut shown: Vec<&Account> = others.iter().filter(|account| !calm(account)).copied().collect();
    shown.extend(own.iter().filter(|account| !calm(account)).copied());
    shown.extend(others.iter().filter(calm).copied());
    if verification.all_accounts {
        shown.extend(own.iter().filter(calm).copied());
    } else {
        shown.truncate(ACCOUNTS_SHOWN);
    }
    let columns = [
        Column::left("PRODUCER"),
        Column::right("EPOCH"),
        Column::left("CLASS"),
        Column::right("DRAWN"),
        Column::right("KEPT"),
        Column::right("SAMPLED OUT"),
        Column::right("COUNTED"),
        Column::right("LOST"),
        Column::right("MISSING"),
        Column::right("NOT SEALED"),
        Column::left("STATE"),
    ];
    let names = short_names(&verification.report.accounts);
    let rows: Vec<Vec<String>> = shown
        .iter()
        .map(|account| {
            let open = account.state == EpochState::Open;
            let unaccounted = account.unaccounted();
            let state = match account.state {
                EpochState::Open => "open",
                EpochState::Closed => "closed",
                EpochState::Abandoned => "abandoned",
            };
            let cell = |number: u64| if number == 0 { String::new() } else { words::count(number) };
            vec![
                names.get(&account.producer).cloned().unwrap_or_default(),
                account.epoch.to_string(),
                account.class.clone(),
                words::count(account.drawn),
                words::count(account.kept),
                cell(account.sampled_out),
                cell(account.counted),
                cell(account.lost.values().sum()),
                cell(if open { 0 } else { unaccounted }),
                cell(if open { unaccounted } else { 0 }),
                if open && account.last_mark > 0 {
                    format!("open, last heard of {}", moment::seconds_utc(account.last_mark))
                } else {
                    state.to_owned()
                },
            ]
        })
        .collect();
    if rows.is_empty() {
        return;
    }
    // Columns in which nothing stands would only take room.
    let used: Vec<bool> =
        (0..columns.len()).map(|place| place < 5 || rows.iter().any(|row| !row[place].is_empty())).collect();
    let pick = |row: &Vec<String>| {
        row.iter().zip(&used).filter(|(_, used)| **used).map(|(cell, _)| cell.clone()).collect()
    };
    let picked: Vec<Vec<String>> = rows.iter().map(pick).collect();
    let columns: Vec<Column<'_>> =
        columns.into_iter().zip(&used).filter(|(_, used)| **used).map(|(column, _)| column).collect();
    out.push('\n');
    table::whole(out, look, "  ", &columns, &picked);
    let rest = others.len().saturating_sub(shown.iter().filter(|account| account.class != "system").count());
    if rest > 0 {
        let text = format!(
            "and {}, of which nothing is missing or lost; -v shows all",
            words::counted(rest as u64, "more", "more")
        );
        let _ = writeln!(out, "  {}", dim(&text));
    }
    for account in shown {
        for (state, number) in &account.lost {
            let producer = names.get(&account.producer).cloned().unwrap_or_default();
            let text = format!(
                "{producer} epoch {} class {}: {} {}",
                account.epoch,
                account.class,
                words::count(*number),
                state.words()
            );
            hanging(out, "  - ", "    ", look.prose_columns(), &text);
        }
    }
}

/// The beginning of each producer's id, as long as it tells them apart.
fn short_names(accounts: &[Account]) -> BTreeMap<[u8; 16], String> {
    let mut names: BTreeMap<[u8; 16], String> =
        accounts.iter().map(|account| (account.producer, hex(&account.producer))).collect();
    let all: Vec<String> = names.values().cloned().collect();
    let differ = |length: usize| {
        let mut starts: Vec<&str> = all.iter().map(|name| &name[..length]).collect();
        starts.sort_unstable();
        starts.windows(2).all(|two| two[0] != two[1])
    };
    let length = [8, 12, 16].into_iter().find(|length| differ(*length)).unwrap_or(32);
    names.values_mut().for_each(|name| name.truncate(length));
    names
}

/// The page of a look over a trail.
pub fn checkup(look: &Look, found: &[Finding], deep: bool) -> String {
    let problems = found.iter().filter(|finding| finding.severity == Severity::Problem);
    let places: BTreeSet<&str> = problems.map(|finding| finding.object.as_str()).collect();
    let mut out = if places.is_empty() {
        coloured(AnsiColor::Green, &bold("This trail can be used."))
    } else {
        let places = words::counted(places.len() as u64, "place", "places");
        coloured(AnsiColor::Red, &bold(&format!("Something is wrong with this trail: problems in {places}.")))
    };
    out.push('\n');
    if !deep && places.is_empty() {
        prose(
            &mut out,
            "",
            look.prose_columns(),
            "--deep compares the catalog with everything that is stored.",
        );
    }
    findings(&mut out, look, found);
    out
}

/// Appends findings, the worst first; several of one object stand together.
pub(super) fn findings(out: &mut String, look: &Look, findings: &[Finding]) {
    if findings.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{}", bold("Findings"));
    let mut order: Vec<&Finding> = findings.iter().collect();
    // Objects stay in the order in which they were met.
    let first = |finding: &Finding| findings.iter().position(|other| other.object == finding.object);
    order.sort_by_cached_key(|finding| (std::cmp::Reverse(finding.severity), first(finding)));
    let same = |a: &&Finding, b: &&Finding| a.severity == b.severity && a.object == b.object;
    for group in order.chunk_by(same) {
        let [finding, ..] = group else { continue };
        let colour = match finding.severity {
            Severity::Problem => AnsiColor::Red,
            Severity::Warning => AnsiColor::Yellow,
            Severity::Note => AnsiColor::Cyan,
        };
        let object = words::shown(look, &finding.object);
        let _ = writeln!(out, "  {} {}", coloured(colour, finding.severity.name()), bold(&object));
        let columns = look.prose_columns();
        for (place, finding) in group.iter().enumerate() {
            prose(out, "    ", columns, &look.plain(&words::printable(&finding.what)));
            let means_the_same = group.get(place + 1).is_some_and(|next| next.means == finding.means);
            if !means_the_same {
                let means = look.plain(&words::printable(&finding.means));
                hanging(out, &format!("    {} ", dim("means")), "    ", columns, &means);
            }
        }
    }
}

fn sampling_json(sampling: &SamplingReport) -> Json {
    let policies = sampling.policies.iter().map(|policy| {
        let rule = |rule: &RuleReport| {
            let rate = match &rule.keep {
                Keep::PerSecond(_) => Json::Null,
                Keep::Rate(rate) => json!(rate),
                Keep::ByValue(rates) => {
                    let values = rates.values.iter().map(|known| (known.value.clone(), json!(known.rate)));
                    json!({ "by": rates.by, "values": values.collect::<Map<_, _>>(), "others": rates.others })
                }
            };
            json!({
                "models": rule.models, "classes": rule.classes, "name": rule.name, "rate": rate,
                "per_second": match rule.keep { Keep::PerSecond(count) => Some(count), _ => None },
                "provable": rule.provable,
            })
        };
        json!({
            "entry": policy.entry,
            "key_entry": policy.key_entry,
            "digest": hex(&policy.digest),
            "checked": policy.has_key,
            "left_out": policy.left_out,
            "kept": policy.has_key.then_some(policy.kept),
            "rules": policy.rules.iter().map(rule).collect::<Vec<_>>(),
        })
    });
    json!(policies.collect::<Vec<_>>())
}

/// A finding for programs.
pub fn finding_json(finding: &Finding) -> Json {
    json!({
        "severity": finding.severity.name(),
        "object": finding.object,
        "what": finding.what,
        "means": finding.means,
    })
}

/// The same for programs.
pub fn report_json(verification: &Verification<'_>) -> Json {
    let report = verification.report;
    let state = |state: EpochState| match state {
        EpochState::Open => "open",
        EpochState::Closed => "closed",
        EpochState::Abandoned => "abandoned",
    };
    let accounts = report.accounts.iter().map(|account| {
        let lost: serde_json::Map<String, Json> =
            account.lost.iter().map(|(state, number)| (state.words().to_owned(), (*number).into())).collect();
        json!({
            "producer": hex(&account.producer),
            "epoch": account.epoch,
            "class": account.class,
            "drawn": account.drawn,
            "kept": account.kept,
            "sampled_out": account.sampled_out,
            "counted": account.counted,
            "lost": lost,
            "gaps": account.gaps.iter().map(|(from, to)| json!([from, to])).collect::<Vec<_>>(),
            "state": state(account.state),
            "last_mark": (account.last_mark > 0).then_some(account.last_mark),
        })
    });
    let findings = report.findings.iter().map(finding_json);
    json!({
        "clean": report.is_clean(),
        "problems": report.problems(),
        "level": verification.level,
        "trail": report.trail,
        "origin": report.origin,
        "log_key": report.log_key,
        "checkpoint": report.checkpoint.map(|(size, root)| json!({ "size": size, "root": BASE64.encode(root) })),
        "other_signatures": report.other_signatures,
        "witnessed": verification.witnesses && report.is_clean(),
        "continues_earlier": report.continues_earlier,
        "segments": {
            "total": report.segments, "disposed": report.disposed, "audited": report.audited, "opened": report.opened,
        },
        "records": {
            "total": report.records, "disposed": report.disposed_records, "readable": report.readable, "erased": report.erased,
            "withheld": report.withheld,
        },
        "blobs": report.blobs,
        "bytes": report.bytes,
        "accounts": accounts.collect::<Vec<_>>(),
        "sampling": report.sampling.as_ref().map(sampling_json),
        "windows": report.windows.map(|found| json!({ "decisions": found.decisions, "counted": found.counted })),
        "findings": findings.collect::<Vec<_>>(),
    })
}
