//! OTLP over HTTP, told by the standard environment (OpenTelemetry specification, "OpenTelemetry Protocol Exporter" and
//! "Environment Variable Specification"): the measures, and one span a run. Only `http/protobuf` is spoken.

use super::{Measures, Value, catalogue::Sort, push};
use opentelemetry_proto::tonic::{
    collector::{metrics::v1::ExportMetricsServiceRequest, trace::v1::ExportTraceServiceRequest},
    common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value},
    metrics::v1::{
        AggregationTemporality, Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric,
        number_data_point,
    },
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span as SpanOf, Status, span::SpanKind, status::StatusCode},
};
use prost::Message as _;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use std::{collections::BTreeMap, time::Duration};
use sweeper_core::model::Timestamp;

/// The default of the specification.
const TIMEOUT: Duration = Duration::from_secs(10);
const NAME: &str = "sweeper";

/// Where OTLP goes.
#[derive(Clone, Debug)]
pub struct Endpoint {
    metrics: Option<String>,
    traces: Option<String>,
    headers: HeaderMap,
    trace_headers: HeaderMap,
    resource: BTreeMap<String, String>,
    pub timeout: Duration,
}

/// A run, as a span.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its id, in hexadecimal digits: names the trace.
    pub run: String,
    /// The command.
    pub name: &'static str,
    pub started: Timestamp,
    pub finished: Timestamp,
    pub exit: u8,
}

/// The environment, one variable at a time.
type Environment<'e> = dyn Fn(&str) -> Option<String> + 'e;

impl Endpoint {
    /// What the environment says. `None`: it says nothing, or that nothing is to be sent.
    ///
    /// # Errors
    /// What of it cannot be followed.
    pub fn of(environment: &Environment<'_>) -> Result<Option<Self>, String> {
        // An empty variable is as good as none.
        let own = |name: &str| environment(name).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
        if own("OTEL_SDK_DISABLED").is_some_and(|text| text.eq_ignore_ascii_case("true")) {
            return Ok(None);
        }
        let place = |signal: &str| -> Result<Option<String>, String> {
            let Some(upper) = SIGNALS.iter().find(|(name, _)| *name == signal).map(|(_, upper)| upper) else {
                return Ok(None);
            };
            match own(&format!("OTEL_{upper}_EXPORTER")).as_deref() {
                None | Some("otlp") => {}
                Some("none") => return Ok(None),
                Some(other) => return Err(format!("OTEL_{upper}_EXPORTER is `{other}`, and only `otlp` is spoken")),
            }
            let whole = own(&format!("OTEL_EXPORTER_OTLP_{upper}_ENDPOINT"));
            let base =
                || own("OTEL_EXPORTER_OTLP_ENDPOINT").map(|base| format!("{}/v1/{signal}", base.trim_end_matches('/')));
            let Some(url) = whole.or_else(base) else { return Ok(None) };
            let protocol = own(&format!("OTEL_EXPORTER_OTLP_{upper}_PROTOCOL"))
                .or_else(|| own("OTEL_EXPORTER_OTLP_PROTOCOL"))
                .unwrap_or_else(|| "http/protobuf".to_owned());
            if protocol != "http/protobuf" {
                return Err(format!("the protocol is `{protocol}`, and only `http/protobuf` is spoken"));
            }
            match reqwest::Url::parse(&url) {
                Ok(parsed) if matches!(parsed.scheme(), "http" | "https") => Ok(Some(url)),
                _ => Err(format!("the endpoint for {signal} is no address of http or https")),
            }
        };
        let (metrics, traces) = (place("metrics")?, place("traces")?);
        if metrics.is_none() && traces.is_none() {
            return Ok(None);
        }
        let heads = |upper: &str| {
            let text =
                own(&format!("OTEL_EXPORTER_OTLP_{upper}_HEADERS")).or_else(|| own("OTEL_EXPORTER_OTLP_HEADERS"));
            headers(text.as_deref().unwrap_or_default())
        };
        let timeout = own("OTEL_EXPORTER_OTLP_METRICS_TIMEOUT").or_else(|| own("OTEL_EXPORTER_OTLP_TIMEOUT"));
        let timeout = match timeout {
            None => TIMEOUT,
            Some(text) => text
                .parse()
                .map(Duration::from_millis)
                .map_err(|_| format!("the timeout `{text}` is no number of milliseconds"))?,
        };
        let mut resource: BTreeMap<String, String> = pairs(&own("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default())?;
        if let Some(name) = own("OTEL_SERVICE_NAME") {
            resource.insert("service.name".to_owned(), name);
        }
        resource.entry("service.name".to_owned()).or_insert_with(|| NAME.to_owned());
        resource.entry("service.version".to_owned()).or_insert_with(|| env!("CARGO_PKG_VERSION").to_owned());
        Ok(Some(Self {
            metrics,
            traces,
            headers: heads("METRICS")?,
            trace_headers: heads("TRACES")?,
            resource,
            timeout,
        }))
    }

    /// Sends both.
    pub async fn send(&self, measures: &Measures, span: &Span) -> Result<(), String> {
        let client = push::client()?;
        let post = |url: &str, headers: &HeaderMap, body: Vec<u8>| {
            let request = client.post(url).headers(headers.clone()).header("content-type", "application/x-protobuf");
            push::accepted(request.body(body))
        };
        if let Some(url) = &self.metrics {
            post(url, &self.headers, self.metrics(measures, now()).encode_to_vec()).await?;
        }
        if let Some(url) = &self.traces {
            post(url, &self.trace_headers, self.span(span).encode_to_vec()).await?;
        }
        Ok(())
    }

    fn resource(&self) -> Resource {
        let attributes = self.resource.iter().map(|(key, value)| text(key, value)).collect();
        Resource { attributes, ..Resource::default() }
    }

    fn metrics(&self, measures: &Measures, nanos: u64) -> ExportMetricsServiceRequest {
        let metrics = measures.iter().map(|(measure, series)| {
            let points = series.iter().map(|(values, value)| NumberDataPoint {
                attributes: measure.labels.iter().zip(values).map(|(label, value)| text(label, value)).collect(),
                time_unix_nano: nanos,
                value: Some(number(*value)),
                ..NumberDataPoint::default()
            });
            let data_points = points.collect();
            let data = match measure.sort {
                Sort::Gauge => metric::Data::Gauge(Gauge { data_points }),
                Sort::Counter => metric::Data::Sum(Sum {
                    data_points,
                    aggregation_temporality: AggregationTemporality::Cumulative.into(),
                    is_monotonic: true,
                }),
            };
            Metric {
                name: measure.name.to_owned(),
                description: measure.help.to_owned(),
                unit: unit(measure.name).to_owned(),
                data: Some(data),
                ..Metric::default()
            }
        });
        let scope_metrics =
            vec![ScopeMetrics { scope: Some(scope()), metrics: metrics.collect(), ..Default::default() }];
        let resource_metrics =
            vec![ResourceMetrics { resource: Some(self.resource()), scope_metrics, ..Default::default() }];
        ExportMetricsServiceRequest { resource_metrics }
    }

    fn span(&self, span: &Span) -> ExportTraceServiceRequest {
        let id = bytes(&span.run);
        let is_error = span.exit != 0 && span.exit != 3 && span.exit != 4;
        let status =
            Status { code: if is_error { StatusCode::Error } else { StatusCode::Ok }.into(), ..Default::default() };
        let own = SpanOf {
            trace_id: id.to_vec(),
            span_id: id[..8].to_vec(),
            name: format!("{NAME} {}", span.name),
            kind: SpanKind::Internal.into(),
            start_time_unix_nano: nanos(span.started),
            end_time_unix_nano: nanos(span.finished),
            attributes: vec![text("sweeper.run.id", &span.run), text("process.exit.code", &span.exit.to_string())],
            status: Some(status),
            ..Default::default()
        };
        let scope_spans = vec![ScopeSpans { scope: Some(scope()), spans: vec![own], ..Default::default() }];
        let resource_spans = vec![ResourceSpans { resource: Some(self.resource()), scope_spans, ..Default::default() }];
        ExportTraceServiceRequest { resource_spans }
    }
}

/// The signals that are sent, and their words in variables.
const SIGNALS: [(&str, &str); 2] = [("metrics", "METRICS"), ("traces", "TRACES")];

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: NAME.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(any_value::Value::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn number(value: Value) -> number_data_point::Value {
    match value {
        Value::Count(count) => number_data_point::Value::AsInt(i64::try_from(count).unwrap_or(i64::MAX)),
        Value::Seconds(seconds) => number_data_point::Value::AsInt(seconds),
        Value::Exact(_) | Value::Share(_) => number_data_point::Value::AsDouble(value.as_f64()),
    }
}

/// The unit that a name ends with, in the words of UCUM.
fn unit(name: &str) -> &'static str {
    let ends = [("_bytes", "By"), ("_seconds", "s"), ("_dollars", "{USD}")];
    ends.into_iter().find(|(end, _)| name.ends_with(end)).map_or("1", |(_, unit)| unit)
}

/// The first 16 bytes that a run's id stands for; never all zero, which names no trace.
fn bytes(id: &str) -> [u8; 16] {
    let digits: String = id.chars().filter(char::is_ascii_hexdigit).take(32).collect();
    let number = u128::from_str_radix(&digits, 16).unwrap_or(0);
    let number = if digits.len() < 32 || number == 0 { number | (1 << 127) } else { number };
    number.to_be_bytes()
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.0).unwrap_or(0).saturating_mul(1_000_000_000)
}

fn now() -> u64 {
    use sweeper_core::clock::{Clock as _, SystemClock};
    nanos(SystemClock::default().wall())
}

/// `key=value,key=value`, with the values escaped by percent signs, as W3C Baggage has it.
fn pairs(written: &str) -> Result<BTreeMap<String, String>, String> {
    let mut all = BTreeMap::new();
    for pair in written.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        // What is wrong may be a password, so that it is not shown.
        let (key, value) = pair.split_once('=').ok_or("a list of `key=value` has a part without `=`")?;
        let value =
            unescaped(value.trim()).ok_or_else(|| format!("the value of `{}` is wrongly escaped", key.trim()))?;
        all.insert(key.trim().to_owned(), value);
    }
    Ok(all)
}

fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || char::from(rest.next()?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit()? * 16 + digit()?);
    }
    String::from_utf8(bytes).ok()
}

fn headers(written: &str) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for (key, value) in pairs(written)? {
        let name = HeaderName::try_from(&key).map_err(|_| format!("`{}` names no header", key.escape_debug()))?;
        let mut value = HeaderValue::try_from(value).map_err(|_| format!("the value of the header {name} is none"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::super::catalogue as of;
    use super::*;

    fn endpoint(variables: &[(&str, &str)]) -> Result<Option<Endpoint>, String> {
        let known: BTreeMap<&str, &str> = variables.iter().copied().collect();
        Endpoint::of(&|name| known.get(name).map(|text| (*text).to_owned()))
    }

    #[test]
    fn the_environment_is_heeded() {
        assert!(endpoint(&[]).unwrap().is_none());
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/");
        let all = endpoint(&[
            base,
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://m/as/it/is"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=a%20b, x-team = finops"),
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=other,deployment.environment=prod"),
            ("OTEL_SERVICE_NAME", "nightly"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ]);
        let all = all.unwrap().unwrap();
        assert_eq!(all.metrics.as_deref(), Some("https://m/as/it/is"));
        assert_eq!(all.traces.as_deref(), Some("http://c:4318/v1/traces"));
        assert_eq!(
            (all.headers["api-key"].as_bytes(), all.headers["x-team"].as_bytes()),
            (&b"a b"[..], &b"finops"[..])
        );
        assert!(!format!("{all:?}").contains("a b"), "what may be a password is not shown");
        assert_eq!(all.resource["service.name"], "nightly");
        assert_eq!(all.timeout, Duration::from_millis(1500));
        for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_METRICS_EXPORTER", "none")] {
            let found = endpoint(&[base, off, ("OTEL_TRACES_EXPORTER", "none")]).unwrap();
            assert!(found.is_none(), "{off:?}");
        }
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_METRICS_EXPORTER", "console"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "a=%zz"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "collector:4317"),
        ] {
            let error = endpoint(&[base, (name, value)]).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_is_sent_says_what_was_measured() {
        let endpoint = endpoint(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c")]).unwrap().unwrap();
        let mut measures = Measures::default();
        measures.set(&of::RUNS, &["nightly", "3"], 7_u64);
        measures.set(&of::WASTE_FIRM, &["a", "disk"], sweeper_core::money::Amount::parse("0.5").unwrap());
        let sent = endpoint.metrics(&measures, 5).encode_to_vec();
        let read = ExportMetricsServiceRequest::decode(sent.as_slice()).unwrap();
        let metrics = &read.resource_metrics[0].scope_metrics[0].metrics;
        assert_eq!(metrics.len(), 2);
        assert!(matches!(&metrics[0].data, Some(metric::Data::Sum(sum)) if sum.is_monotonic
            && sum.data_points[0].value == Some(number_data_point::Value::AsInt(7))));
        assert_eq!(
            (metrics[1].unit.as_str(), metrics[1].name.as_str()),
            ("{USD}", "sweeper_waste_firm_monthly_dollars")
        );
        let span =
            Span { run: "00ff".repeat(8), name: "report", started: Timestamp(1), finished: Timestamp(2), exit: 2 };
        let spans = endpoint.span(&span).resource_spans;
        let span = &spans[0].scope_spans[0].spans[0];
        assert_eq!((span.trace_id.len(), span.span_id.len(), span.name.as_str()), (16, 8, "sweeper report"));
        assert_eq!(span.status.as_ref().map(|status| status.code), Some(StatusCode::Error.into()));
        assert!(["", "zz", "0"].iter().all(|id| bytes(id)[..8] != [0; 8]), "no id is all zero");
    }
}
