//! What `sweeper doctor` found, for people and for machines.

use super::{inert, summary::counted};
use crate::{
    clouds::noun,
    diagnosis::{AccountRights, CloudHealth, Diagnosis, InUse},
};
use std::io::{self, Write};
use sweeper_core::{inert::InertJson, model::CloudId, ttl};

/// Rights that are shown in full; more are counted.
const SHOWN: usize = 12;

pub fn write_json(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, InertJson);
    serde::Serialize::serialize(diagnosis, &mut serializer)?;
    writeln!(out)
}

pub fn write(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    for cloud in &diagnosis.clouds {
        write_cloud(cloud, out)?;
        writeln!(out)?;
    }
    if !diagnosis.not_seen.is_empty() {
        writeln!(out, "not seen")?;
        for row in &diagnosis.not_seen {
            let (cloud, account) = (row.cloud.name(), inert::line(&row.account));
            let kinds: Vec<&str> = row.kinds.iter().map(String::as_str).collect();
            writeln!(out, "  {cloud}:{account}: {}: {}", inert::line(&row.why), listed(&kinds))?;
        }
        writeln!(out)?;
    }
    for file in &diagnosis.in_use {
        write_in_use(file, out)?;
    }
    let state = &diagnosis.state;
    let place = state.place.as_deref().unwrap_or("none");
    let clocks = state.clocks.map(|clocks| format!(", {}", counted(clocks, "clock"))).unwrap_or_default();
    let lasts = if state.lasts { "lasts" } else { "does not last" };
    writeln!(out, "state    {} ({lasts}{clocks})", inert::line(place))?;
    if let Some(note) = &state.note {
        writeln!(out, "         {}", inert::line(note))?;
    }
    let verdict = if diagnosis.healthy { "everything that was asked for is seen" } else { "not everything is seen" };
    writeln!(out, "\n{verdict}")
}

fn write_cloud(cloud: &CloudHealth, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", cloud.cloud.name())?;
    match (&cloud.identity, &cloud.identity_error) {
        (Some(identity), _) => {
            let source = cloud.credentials.as_deref().unwrap_or_default();
            writeln!(out, "  identity  {} (from {})", inert::line(identity), inert::line(source))?;
        }
        (None, Some(error)) => writeln!(out, "  identity  unknown: {}", inert::line(error))?,
        (None, None) => {}
    }
    if cloud.left_out {
        return writeln!(out, "  left out  nothing here leads to credentials for it");
    }
    if let Some(error) = &cloud.error {
        writeln!(out, "  blind     {}", inert::line(error))?;
        if let Some(fix) = &cloud.fix {
            writeln!(out, "  fix       {}", inert::line(fix))?;
        }
        return Ok(());
    }
    let scope = match cloud.parent_read {
        Some(true) => "all below the parent",
        Some(false) => "not all below the parent: only what this identity sees",
        None => "what was named, or what the credentials are of",
    };
    writeln!(out, "  looks at  {}: {scope}", counted(cloud.accounts.len() as u64, noun(cloud.cloud)))?;
    for account in &cloud.accounts {
        write_account(cloud.cloud, account, out)?;
    }
    Ok(())
}

fn write_in_use(file: &InUse, out: &mut dyn Write) -> io::Result<()> {
    let name = inert::line(&file.name);
    if let (Some(source), Some(age), Some(items)) = (&file.source, file.age, file.items) {
        let covers: Vec<&str> = file.covers.iter().map(String::as_str).collect();
        let covers = if covers.is_empty() { "nothing whole".to_owned() } else { listed(&covers) };
        let (items, source) = (counted(items, "item"), inert::line(source));
        writeln!(out, "in use   {name}: {items} of {source}, covers {covers}, {} old", ttl::spoken(age / 60 * 60))?;
    } else {
        writeln!(out, "in use   {name}")?;
    }
    match &file.trouble {
        Some(trouble) => writeln!(out, "         blind: {}", inert::line(trouble)),
        None => Ok(()),
    }
}

fn write_account(cloud: CloudId, account: &AccountRights, out: &mut dyn Write) -> io::Result<()> {
    let name = format!("{} {}", account.name, account.id);
    let name = inert::line(name.trim()).into_owned();
    if let Some(why) = &account.blind {
        return writeln!(out, "  {} {name}: blind: {}", noun(cloud), inert::line(why));
    }
    if let Some(why) = &account.none {
        return writeln!(out, "  {} {name}: nothing can be there: {}", noun(cloud), inert::line(why));
    }
    let held = account.permissions.iter().filter(|right| right.held == Some(true)).count();
    let untold = account.permissions.iter().filter(|right| right.held.is_none()).count();
    let all = counted(account.permissions.len() as u64, "permission");
    let untold = if untold > 0 { format!(", {untold} not tried") } else { String::new() };
    writeln!(out, "  {} {name}: {held} of {all} held{untold}", noun(cloud))?;
    if let Some(note) = &account.note {
        writeln!(out, "    {}", inert::line(note))?;
    }
    let missing: Vec<_> = account.missing().collect();
    for right in missing.iter().take(SHOWN) {
        let kinds: Vec<&str> = right.kinds.iter().map(String::as_str).collect();
        let blinds: Vec<&str> = right.blinds.iter().map(String::as_str).collect();
        let blinds = if blinds.is_empty() { String::new() } else { format!("; blinds {}", listed(&blinds)) };
        writeln!(out, "    missing {} for {}{blinds}", inert::line(&right.permission), listed(&kinds))?;
    }
    if missing.len() > SHOWN {
        writeln!(out, "    and {} more: --format json has all", missing.len() - SHOWN)?;
    }
    if let Some(fix) = &account.fix {
        writeln!(out, "    fix: {}", inert::line(fix))?;
    }
    Ok(())
}

/// The first few, and how many more.
fn listed(items: &[&str]) -> String {
    const FEW: usize = 6;
    let text = items.iter().take(FEW).copied().collect::<Vec<_>>().join(", ");
    let text = inert::line(&text);
    if items.len() > FEW { format!("{text} and {} more", items.len() - FEW) } else { text.into_owned() }
}
