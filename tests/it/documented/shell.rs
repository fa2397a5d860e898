//! As much of a shell as the documents use: which calls of deepme a line makes.

/// A call of deepme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// The variables before it.
    pub env: Vec<(String, String)>,
    /// What comes after the name of the program.
    pub args: Vec<String>,
}

#[derive(Debug, PartialEq)]
enum Token {
    Word(String),
    /// What ends a command.
    End,
    /// What the next word belongs to, which is a file.
    Redirection,
}

fn tokens(line: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\'' => {
                let quoted: String = rest.by_ref().take_while(|c| *c != '\'').collect();
                word.get_or_insert_default().push_str(&quoted);
            }
            '"' => {
                let word = word.get_or_insert_default();
                while let Some(c) = rest.next() {
                    match c {
                        '"' => break,
                        '\\' => word.extend(rest.next()),
                        c => word.push(c),
                    }
                }
            }
            '\\' => word.get_or_insert_default().extend(rest.next()),
            '$' if rest.peek() == Some(&'(') => {
                let inside: String = rest.by_ref().take_while(|c| *c != ')').collect();
                word.get_or_insert_default().extend(["$(", &inside, ")"]);
            }
            '#' if word.is_none() => break,
            '>' | '<' => {
                // The number of a descriptor is no word.
                if let Some(word) = word.take_if(|word| word.parse::<u8>().is_err()) {
                    tokens.push(Token::Word(word));
                }
                word = None;
                while rest.next_if(|c| "<>&".contains(*c)).is_some() {}
                tokens.push(Token::Redirection);
            }
            c if c.is_whitespace() || ";|&".contains(c) => {
                tokens.extend(word.take().map(Token::Word));
                if !c.is_whitespace() || c == '\n' {
                    tokens.push(Token::End);
                }
            }
            c => word.get_or_insert_default().push(c),
        }
    }
    tokens.extend(word.map(Token::Word));
    tokens
}

/// `NAME=value`.
fn assignment(word: &str) -> Option<(String, String)> {
    let (name, value) = word.split_once('=')?;
    let named = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    (!name.is_empty() && name.chars().all(named)).then(|| (name.to_owned(), value.to_owned()))
}

/// The calls that a line makes, and the variables that it exports.
pub fn read(line: &str, exported: &mut Vec<(String, String)>) -> Vec<Call> {
    let mut calls = Vec::new();
    let mut commands = vec![Vec::new()];
    let mut tokens = tokens(line).into_iter();
    while let Some(token) = tokens.next() {
        match token {
            Token::Word(word) => commands.last_mut().unwrap().push(word),
            Token::End => commands.push(Vec::new()),
            Token::Redirection => {
                tokens.next();
            }
        }
    }
    for command in commands {
        let mut words = command.into_iter().peekable();
        let mut env = exported.clone();
        while let Some(word) = words.next() {
            if let Some(variable) = assignment(&word) {
                env.push(variable);
            } else if word == "export" {
                exported.extend(words.by_ref().filter_map(|word| assignment(&word)));
            } else if word == "sudo" {
                while words.next_if(|word| word.starts_with('-')).is_some() {
                    // Only -u is used, which has a value.
                    words.next();
                }
            } else if word == "sh" && words.next_if_eq("-c").is_some() {
                let script = words.next().unwrap_or_default();
                calls.extend(read(&script, &mut env.clone()));
            } else {
                if word.rsplit('/').next() == Some("deepme") {
                    let args = words.collect();
                    calls.push(Call { env, args });
                }
                break;
            }
        }
    }
    calls
}

#[test]
fn what_a_shell_would_call_is_found() {
    let calls = |line: &str| -> Vec<String> {
        let calls = read(line, &mut Vec::new());
        calls.iter().map(|call| call.args.join("/")).collect()
    };
    let nothing: [&str; 0] = [];
    assert_eq!(calls("sudo systemctl start deepme"), nothing);
    assert_eq!(calls("sudo -u deepme ls deepme"), nothing);
    assert_eq!(calls("cd /x && sudo deepme user list"), ["user/list"]);
    assert_eq!(
        calls("sudo sh -c 'deepme completions bash > /etc/x'"),
        ["completions/bash"]
    );
    assert_eq!(
        calls("echo 'a b' | target/release/deepme chat --once \"a 'b' \\\"c\" 2> x # end"),
        ["chat/--once/a 'b' \"c"]
    );
    assert_eq!(calls("A=$(deepme x) deepme a; deepme b"), ["a", "b"]);
    let mut exported = Vec::new();
    read("export A=1 B=2", &mut exported);
    let call = &read("C=3 deepme a", &mut exported)[0];
    let names: Vec<&str> = call.env.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["A", "B", "C"]);
}
