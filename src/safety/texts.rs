pub enum Lang { Ko, En } pub fn fixed_answer() {} pub fn message() {} pub fn preamble() {} pub fn short_text() {}
