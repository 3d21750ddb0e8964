//! The deployer's own words for a notice: a Jinja template in a file. Whatever it puts out of a notice is escaped for
//! where it goes; neither `safe` nor `autoescape false` changes that.

use super::{Notice, escape::Target};
use crate::render::inert;
use minijinja::{Environment, Error, ErrorKind, UndefinedBehavior, Value, value::Serde};
use std::path::{Path, PathBuf};

/// The largest template, and the largest text made of one, bytes.
const LARGEST: usize = 256 * 1024;

/// A template that was read and tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    path: PathBuf,
    source: String,
    target: Target,
}

impl Template {
    /// Reads a template and tries it with a notice made up: what is wrong with it is said with its line, and before
    /// anybody waits for a notice.
    pub fn read(path: &Path, target: Target) -> Result<Self, String> {
        let shown = path.display();
        let source = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
        if source.len() > LARGEST {
            return Err(format!("{shown} has more than {LARGEST} bytes"));
        }
        let template = Self { path: path.to_owned(), source, target };
        for notice in Notice::samples() {
            template.render(&notice)?;
        }
        Ok(template)
    }

    /// Whether it makes HTML.
    pub fn is_html(&self) -> bool {
        self.target == Target::Html
    }

    /// The text of a notice.
    pub fn render(&self, notice: &Notice) -> Result<String, String> {
        let mut environment = Environment::new();
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        let target = self.target;
        environment.set_formatter(move |out, _, value: &Value| {
            let text = match target {
                Target::Json => json(value)?,
                _ => target.escaped(&value.to_string()),
            };
            out.write_str(&text).map_err(Error::from)
        });
        let said = |error: Error| {
            let line = error.line().map_or_else(String::new, |line| format!(":{line}"));
            let detail = error.detail().map_or_else(|| error.kind().to_string(), str::to_owned);
            format!("the template {}{line}: {}", self.path.display(), inert::line(&detail))
        };
        environment.add_template("template", &self.source).map_err(said)?;
        let text = environment.get_template("template").and_then(|own| own.render(Serde(notice))).map_err(said)?;
        if text.len() > LARGEST {
            return Err(format!("the template {} makes more than {LARGEST} bytes", self.path.display()));
        }
        if target == Target::Json
            && let Err(error) = serde_json::from_str::<serde_json::Value>(&text)
        {
            return Err(format!("the template {} makes no JSON: {error}", self.path.display()));
        }
        Ok(text)
    }
}

/// A value as JSON.
fn json(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        return Ok(Target::Json.escaped(text));
    }
    serde_json::to_string(value).map_err(|error| Error::new(ErrorKind::BadSerialization, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str, target: Target) -> Result<Template, String> {
        let path = std::env::temp_dir().join(format!("sweeper-template-{}-{name}", std::process::id()));
        std::fs::write(&path, text).unwrap();
        let template = Template::read(&path, target);
        std::fs::remove_file(&path).unwrap();
        template
    }

    #[test]
    fn templates_are_filled_and_nothing_in_them_acts() {
        let text = "{% for item in new %}{{ item.name | safe }}|{% autoescape false %}{{ item.name }}{% endautoescape %}{% endfor %}";
        let mut notice = Notice::samples().remove(0);
        notice.new.truncate(1);
        notice.new[0].name = Some("<!channel>\n\"x\"".to_owned());
        let rendered = |target| read("inert", text, target).map(|template| template.render(&notice).unwrap());
        assert_eq!(rendered(Target::Slack).unwrap(), r#"&lt;!channel&gt;\n"x"|&lt;!channel&gt;\n"x""#);
        assert_eq!(rendered(Target::Html).unwrap(), r"&lt;!channel&gt;\n&quot;x&quot;|&lt;!channel&gt;\n&quot;x&quot;");
        assert!(rendered(Target::Json).unwrap_err().contains("makes no JSON"));
        let json = "{\"text\": {{ text }}, \"to\": {{ to }}, \"money\": {{ monthly_usd }}}";
        let made = read("json", json, Target::Json).unwrap().render(&notice).unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(&made).unwrap()["text"].is_string(), "{made}");
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, said) in [
            ("a\n{{ nothing }}\n", "wrong:2"),
            ("a\nb\n{% for x in new %}", "wrong:3"),
            ("{{ new[0].nothing.more }}", "wrong:1"),
            ("{{ 1/0 }}", "wrong:1"),
        ] {
            let error = read("wrong", text, Target::Plain).unwrap_err();
            assert!(error.contains(said), "{text}: {error}");
        }
        assert!(Template::read(Path::new("/no/such/template"), Target::Plain).is_err());
    }
}
