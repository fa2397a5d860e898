//! Any endpoint of the Chat Completions API: `OpenAI`, Ollama, llama.cpp, vLLM, LiteLLM.
//!
//! Owns [`OpenAi`]. The request is made of async-openai's types; the answer is read here, because
//! that crate's reader takes a cut stream for a finished one, rejects chunks of real servers, logs
//! their payload, queues without bound, and costs more than the relay itself (docs/dependencies.md
//! has the figures). Invariants: the provider's text never reaches a log or an error; redirects are
//! not followed; a stream counts as ended only by `[DONE]` or a `finish_reason`.

use super::completion::Answer;
use super::sse::Events;
use super::{ChatModel, ChatRequest, Fault, Piece, TokenStream};
use crate::config;
use crate::domain::transcript::Role;
use crate::domain::{Error, ErrorCode};
use async_openai::types::chat::{
    ChatCompletionRequestAssistantMessage, ChatCompletionRequestMessage,
    ChatCompletionRequestSystemMessage, ChatCompletionRequestUserMessage,
    ChatCompletionStreamOptions, CreateChatCompletionRequest, ResponseFormat,
    ResponseFormatJsonSchema,
};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream;
use reqwest::header::{
    ACCEPT, AUTHORIZATION, CONTENT_TYPE, DATE, HeaderMap, HeaderValue, RETRY_AFTER,
};
use std::time::Duration;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(5);
/// How long to wait for the usage figures once the answer itself has ended.
const USAGE: Duration = Duration::from_millis(500);
/// Bytes that are read ahead into one piece.
const PIECE: usize = 16 * 1024;

/// A model behind HTTP.
pub struct OpenAi {
    name: String,
    model: String,
    url: reqwest::Url,
    authorization: Option<HeaderValue>,
    temperature: Option<f32>,
    /// `OpenAI` itself knows `max_completion_tokens` only for its newer models; the others know
    /// `max_tokens`.
    newer_fields: bool,
    http: reqwest::Client,
}

impl OpenAi {
    /// The model that `config` describes, called `name`.
    pub fn new(name: &str, config: &config::Model) -> crate::domain::Result<Self> {
        let wrong =
            |what: String| Error::new(ErrorCode::Config, format!("[models.{name}]: {what}"));
        let key = if config.api_key_file.as_os_str().is_empty() {
            config.api_key.expose().trim().to_owned()
        } else {
            std::fs::read_to_string(&config.api_key_file)
                .map_err(|e| {
                    wrong(format!(
                        "cannot read {}: {e}",
                        config.api_key_file.display()
                    ))
                })?
                .trim()
                .to_owned()
        };
        let authorization = if key.is_empty() {
            None
        } else {
            let mut value = HeaderValue::try_from(format!("Bearer {key}"))
                .map_err(|_| wrong("the api_key has characters that no key has".to_owned()))?;
            value.set_sensitive(true);
            Some(value)
        };
        let base = config.base_url.trim_end_matches('/');
        let url = reqwest::Url::parse(&format!("{base}/chat/completions"))
            .map_err(|_| wrong("base_url is not an address".to_owned()))?;
        // Fails when it is installed already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .connect_timeout(CONNECT)
            .pool_max_idle_per_host(1024)
            .tcp_nodelay(true)
            .user_agent(concat!("deepme/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|e| wrong("cannot make an HTTP client".to_owned()).with_source(e))?;
        Ok(Self {
            name: name.to_owned(),
            model: config.model.clone(),
            newer_fields: url.host_str() == Some("api.openai.com"),
            url,
            authorization,
            temperature: (config.temperature >= 0.0).then_some(config.temperature),
            http,
        })
    }

    /// The host that receives people's words.
    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    async fn request(&self, request: ChatRequest) -> Result<TokenStream, Fault> {
        let body = serde_json::to_vec(&self.body(request)).map_err(|_| Fault::Malformed)?;
        let mut post = self
            .http
            .post(self.url.clone())
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .header(ACCEPT, HeaderValue::from_static("text/event-stream"))
            .body(body);
        if let Some(authorization) = &self.authorization {
            post = post.header(AUTHORIZATION, authorization.clone());
        }
        let response = post.send().await.map_err(|_| Fault::Connection)?;
        if let Some(fault) = status_fault(&response) {
            return Err(fault);
        }
        let kind = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default();
        // A login page of some proxy is a 200, too.
        if !kind.starts_with("text/event-stream") {
            return Err(Fault::Malformed);
        }
        let reader = Reader {
            response,
            events: Events::default(),
            answer: Answer::default(),
            over: false,
        };
        Ok(Box::pin(stream::unfold(reader, |mut reader| async move {
            let piece = reader.next().await?;
            Some((piece, reader))
        })))
    }

    fn body(&self, request: ChatRequest) -> CreateChatCompletionRequest {
        let messages = request
            .messages
            .into_iter()
            .map(|message| match message.role {
                Role::System => ChatCompletionRequestMessage::System(
                    ChatCompletionRequestSystemMessage::from(message.content),
                ),
                Role::User => ChatCompletionRequestMessage::User(
                    ChatCompletionRequestUserMessage::from(message.content),
                ),
                Role::Assistant => ChatCompletionRequestMessage::Assistant(
                    ChatCompletionRequestAssistantMessage::from(message.content),
                ),
            })
            .collect();
        let response_format = request.schema.and_then(|schema| {
            Some(ResponseFormat::JsonSchema {
                json_schema: ResponseFormatJsonSchema {
                    description: None,
                    name: schema.name.to_owned(),
                    schema: serde_json::from_str(schema.json).ok()?,
                    strict: Some(true),
                },
            })
        });
        let mut body = CreateChatCompletionRequest {
            response_format,
            messages,
            model: self.model.clone(),
            stream: Some(true),
            stream_options: Some(ChatCompletionStreamOptions {
                include_usage: Some(true),
                include_obfuscation: None,
            }),
            temperature: self.temperature,
            ..CreateChatCompletionRequest::default()
        };
        if self.newer_fields {
            body.max_completion_tokens = Some(request.max_output_tokens);
            body.safety_identifier = Some(request.pseudonym);
        } else {
            #[expect(
                deprecated,
                reason = "the servers that are not OpenAI's know this name only"
            )]
            {
                body.max_tokens = Some(request.max_output_tokens);
            }
        }
        body
    }
}

impl ChatModel for OpenAi {
    fn name(&self) -> &str {
        &self.name
    }

    fn ask(&self, request: ChatRequest) -> BoxFuture<'_, Result<TokenStream, Fault>> {
        Box::pin(self.request(request))
    }
}

fn status_fault(response: &reqwest::Response) -> Option<Fault> {
    let status = response.status();
    let retry_after = || retry_after(response.headers());
    match status.as_u16() {
        200..=299 => None,
        429 => Some(Fault::Busy {
            retry_after: retry_after(),
        }),
        503 if retry_after().is_some() => Some(Fault::Busy {
            retry_after: retry_after(),
        }),
        status @ (401 | 403 | 404) => Some(Fault::Refused { status }),
        status => Some(Fault::Status { status }),
    }
}

/// How long the provider asks to wait: seconds, or a date, which is compared with the provider's own
/// clock.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    let asked = text(RETRY_AFTER)?;
    if let Ok(seconds) = asked.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let time = |text| {
        let parsed = jiff::fmt::rfc2822::parse(text).ok()?;
        Some(parsed.timestamp())
    };
    let wait = time(asked)?.duration_since(time(text(DATE)?)?);
    Some(wait.try_into().unwrap_or(Duration::ZERO))
}

struct Reader {
    response: reqwest::Response,
    events: Events,
    answer: Answer,
    over: bool,
}

impl Reader {
    /// The next piece; what has arrived already is taken together. `None` after the end.
    async fn next(&mut self) -> Option<Result<Piece, Fault>> {
        loop {
            if let Some(piece) = self.answer.take() {
                return Some(Ok(piece));
            }
            if self.over {
                return None;
            }
            let read = self.read().await;
            if let Err(fault) = read {
                self.over = true;
                // The text that came before the fault is still the person's.
                if let Some(text) = self.answer.take_text() {
                    self.answer.fault = Some(fault);
                    return Some(Ok(text));
                }
                return Some(Err(fault));
            }
            if self.over
                && let Some(fault) = self.answer.fault.take()
            {
                return Some(Err(fault));
            }
        }
    }

    async fn read(&mut self) -> Result<(), Fault> {
        let mut chunk = if self.answer.finish_reason.is_some() {
            // Only the usage figures may follow; a server that keeps the stream open is not waited for.
            match tokio::time::timeout(USAGE, self.response.chunk()).await {
                Ok(Ok(chunk)) => chunk,
                Ok(Err(_)) | Err(_) => None,
            }
        } else {
            self.response.chunk().await.map_err(|_| Fault::Connection)?
        };
        loop {
            let answer = &mut self.answer;
            let Some(bytes) = chunk else {
                self.events.finish(&mut |data| answer.event(data))?;
                self.over = true;
                return answer.close();
            };
            self.events.feed(&bytes, &mut |data| answer.event(data))?;
            if answer.done {
                self.over = true;
                return answer.close();
            }
            if answer.text.len() >= PIECE {
                return Ok(());
            }
            match self.response.chunk().now_or_never() {
                Some(Ok(next)) => chunk = next,
                // What breaks after the end of the answer breaks nothing.
                Some(Err(_)) if self.answer.finish_reason.is_some() => chunk = None,
                Some(Err(_)) => return Err(Fault::Connection),
                None => return Ok(()),
            }
        }
    }
}
