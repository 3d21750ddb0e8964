//! Mail, by SMTP: STARTTLS unless the config says otherwise, in text and HTML.

use super::{
    Item, Notice,
    escape::Target,
    notifier::{Message, Notifier, Way, Whole},
    secret::{Opened, Secret},
    wire::{self, Undelivered, Wire},
    words,
};
use crate::{config::Keys, render::inert};
use async_trait::async_trait;
use lettre::{
    Address, AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor,
    message::{
        Mailbox, MultiPart,
        header::{HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::Credentials,
        client::{Certificate, Tls, TlsParameters},
    },
};
use std::{fmt::Write as _, path::PathBuf};

pub const KEYS: &[&str] =
    &["host", "port", "tls", "from", "user", "password_env", "password_file", "ca_file", "domains"];
const WAYS: &[&str] = &["starttls", "implicit", "none"];
const ITEMS: usize = 500;

/// What a template is escaped for that makes the text of a mail.
pub const TARGET: Option<Target> = Some(Target::Plain);

/// Whether a template makes the HTML of a mail, by the name of its file: `….html`, `….html.j2`.
pub fn is_html(file: &str) -> bool {
    let name = file.to_ascii_lowercase();
    [".html", ".html.j2", ".html.jinja", ".htm"].iter().any(|end| name.ends_with(end))
}

/// How mail is kept from others on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Secrecy {
    /// Nothing is sent where the server does not take it.
    StartTls,
    Implicit,
    /// To this machine only.
    None,
}

/// A server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Smtp {
    pub host: String,
    pub port: u16,
    pub secrecy: Secrecy,
    pub from: Mailbox,
    pub login: Option<(String, Secret)>,
    /// Where owners are whose name is an address: whoever may tag a resource must not have mail sent anywhere.
    pub domains: Vec<String>,
    /// Certificates that are trusted beside the machine's.
    pub ca: Option<PathBuf>,
}

impl Smtp {
    pub fn read(keys: &mut Keys<'_, '_, '_>) -> Option<Self> {
        let host = keys.needed("host");
        let secrecy = match keys.word("tls", WAYS).as_deref() {
            Some("implicit") => Secrecy::Implicit,
            Some("none") => Secrecy::None,
            _ => Secrecy::StartTls,
        };
        if secrecy == Secrecy::None && !host.as_deref().is_some_and(wire::is_loopback) {
            keys.wrong("tls", "mail goes without TLS to this machine only");
        }
        let port = keys.number("port").unwrap_or(match secrecy {
            Secrecy::StartTls => 587,
            Secrecy::Implicit => 465,
            Secrecy::None => 25,
        });
        let text = keys.needed("from");
        let from = text.as_deref().and_then(|text| text.parse::<Mailbox>().ok());
        if text.is_some() && from.is_none() {
            keys.wrong("from", "`from` is no address: `Sweeper <sweeper@example.com>`");
        }
        let user = keys.string("user");
        let password = keys.secret("password");
        if user.is_some() != password.is_some() {
            keys.problem("`user` and `password_env` or `password_file` belong together", None);
        }
        if let Some(to) = keys.string("to")
            && to.parse::<Mailbox>().is_err()
        {
            keys.wrong("to", "`to` is no address");
        }
        for (owner, address) in keys.map("addresses") {
            if address.parse::<Mailbox>().is_err() {
                keys.wrong("addresses", format!("what `addresses` has for `{owner}` is no address"));
            }
        }
        let ca = keys.path("ca_file");
        let from = from?;
        let domains = if keys.has("domains") { keys.list("domains") } else { vec![from.email.domain().to_owned()] };
        Some(Self { host: host?, port, secrecy, from, login: user.zip(password), domains, ca })
    }

    fn transport(&self, wire: &Wire) -> Result<(AsyncSmtpTransport<Tokio1Executor>, Option<Opened>), Undelivered> {
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(self.host.as_str())
            .port(self.port)
            .timeout(Some(wire.timeout()));
        if self.secrecy != Secrecy::None {
            let refused = |error: &dyn std::fmt::Display| Undelivered::refused(format!("no TLS: {error}"));
            let mut tls = TlsParameters::builder(self.host.clone());
            if let Some(path) = &self.ca {
                let pem = std::fs::read(path).map_err(|error| refused(&format!("{}: {error}", path.display())))?;
                tls = tls.add_root_certificate(Certificate::from_pem(&pem).map_err(|error| refused(&error))?);
            }
            let tls = tls.build().map_err(|error| refused(&error))?;
            builder =
                builder.tls(if self.secrecy == Secrecy::Implicit { Tls::Wrapper(tls) } else { Tls::Required(tls) });
        }
        let mut password = None;
        if let Some((user, secret)) = &self.login {
            let opened = secret.open().map_err(Undelivered::later)?;
            builder = builder.credentials(Credentials::new(user.clone(), opened.reveal().to_owned()));
            password = Some(opened);
        }
        Ok((builder.build(), password))
    }

    fn mail(&self, message: &Message<'_>) -> Result<lettre::Message, Undelivered> {
        let notice = message.notice;
        let Some(address) = message.address else {
            let whose = notice.to.as_deref().unwrap_or("nobody known");
            return Err(Undelivered::refused(format!(
                "there is no address for {whose}: `addresses` or `to` of the channel names one"
            )));
        };
        // An owner's own name is a tag's value, of which the deployer has not said that it is an address.
        if message.is_own {
            let known = address
                .parse::<Address>()
                .is_ok_and(|own| self.domains.iter().any(|domain| domain.eq_ignore_ascii_case(own.domain())));
            if !known {
                return Err(Undelivered::refused(format!(
                    "`{}` is in none of the domains that mail goes to: `domains` or `addresses` of the channel names it",
                    inert::line(address)
                )));
            }
        }
        let to = address.parse::<Mailbox>().or_else(|_| address.parse::<Address>().map(Mailbox::from));
        let to = to.map_err(|_| Undelivered::refused(format!("`{}` is no address", inert::line(address))))?;
        let (mut text, mut page) = (notice.text.clone(), html(notice));
        if let (Some(made), Some(template)) = (message.templated()?, message.template) {
            if template.is_html() {
                page = made;
            } else {
                page = format!("<pre>{}</pre>", made.lines().map(inert::html).collect::<Vec<_>>().join("\n"));
                text = made;
            }
        }
        let header = |name: &'static str, value: String| HeaderValue::new(HeaderName::new_from_ascii_str(name), value);
        lettre::Message::builder()
            .from(self.from.clone())
            .to(to)
            .subject(inert::line(&words::headline(notice)).into_owned())
            // The same when it is sent again.
            .message_id(Some(format!("<{}.sweeper@{}>", notice.id, self.from.email.domain())))
            .raw_header(header("Auto-Submitted", "auto-generated".to_owned()))
            .raw_header(header("X-Sweeper-Notice", notice.id.clone()))
            .multipart(MultiPart::alternative_plain_html(text, page))
            .map_err(|error| Undelivered::refused(format!("it makes no mail: {error}")))
    }
}

impl Notifier for Smtp {
    fn secrets(&self) -> Vec<&Secret> {
        self.login.iter().map(|(_, secret)| secret).collect()
    }

    fn most(&self) -> usize {
        ITEMS
    }

    fn preview(&self, message: &Message<'_>) -> Result<String, Undelivered> {
        let mail = self.mail(message)?;
        let headers = mail.headers().to_string();
        let text = message.templated()?.unwrap_or_else(|| message.notice.text.clone());
        Ok(format!("{}\n{text}", headers.replace('\r', "")))
    }

    fn way(&self) -> Way<'_> {
        Way::Whole(self)
    }
}

#[async_trait]
impl Whole for Smtp {
    async fn send(&self, message: &Message<'_>, wire: &Wire) -> Result<Option<String>, Undelivered> {
        let mail = self.mail(message)?;
        let (transport, password) = self.transport(wire)?;
        // A server that says a little now and then is left as well.
        let sent = tokio::time::timeout(wire.timeout() * 2, transport.send(mail)).await;
        let answer = sent.map_err(|_| Undelivered::later("it did not take the mail in time"))?.map_err(|error| {
            let mut why = String::new();
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(own) = cause {
                let said = own.to_string();
                if !why.contains(&said) {
                    let _ = write!(why, "{}{said}", if why.is_empty() { "" } else { ": " });
                }
                cause = own.source();
            }
            if let Some(password) = &password {
                why = why.replace(password.reveal(), "…");
            }
            let why = super::escape::short(&inert::line(&why), 300);
            // What the server refuses for good, and a server without STARTTLS or a way to log in.
            if error.is_permanent() || error.is_client() { Undelivered::Refused(why) } else { Undelivered::later(why) }
        })?;
        Ok(answer.message().next().map(|said| super::escape::short(&inert::line(said), 200)))
    }
}

fn html(notice: &Notice) -> String {
    let mut out = String::from("<html><body style=\"font-family: sans-serif\">\n");
    let _ = writeln!(
        out,
        "<h2>{}</h2>\n<p>{}</p>",
        inert::html(&words::headline(notice)),
        inert::html(&words::opening(notice))
    );
    for alert in &notice.alerts {
        let title = inert::html(&words::alert_title(alert));
        let _ = writeln!(out, "<p><b>{}: {title}</b><br>{}</p>", alert.severity.name(), inert::html(&alert.says));
    }
    for item in &notice.new {
        said(&mut out, item);
    }
    if !notice.pending.is_empty() {
        let _ = writeln!(out, "<h3>Told before, and not done yet, {} in all</h3>", notice.pending_count);
        for item in &notice.pending {
            said(&mut out, item);
        }
    }
    for line in words::closing(notice) {
        let _ = writeln!(out, "<p>{}</p>", inert::html(&line));
    }
    out.push_str("</body></html>\n");
    out
}

fn said(out: &mut String, item: &Item) {
    let line = inert::html;
    let _ = writeln!(
        out,
        "<p><b>{}</b>, {}<br>{}",
        line(&words::name(item)),
        line(&words::money(item)),
        line(&words::found(item))
    );
    for one in item.evidence.iter().take(words::EVIDENCE) {
        let _ = writeln!(out, "<br>{}: {}", line(&one.fact), line(&one.value));
    }
    let _ = writeln!(
        out,
        "<br>{}<br>to keep it: <code>{}</code> {}</p>",
        line(&item.happens),
        line(&item.keep),
        words::TAG
    );
}
