//! A linear model in eight bits: its format, its checks, and its scores.
//!
//! Owns [`Weights`] and the [`Table`] that finds them; `keys` owns how a piece of text becomes a key. Called by the emotion
//! classifier and by the safety gate, each with pieces and outputs of its own, and by their trainers. Pure. Invariant: bytes that decode give a
//! table that scores any keys without a fault.
//!
//! All little-endian: the mark, version, number of outputs, two zero bytes; number of pieces (u32); what the model adds to
//! the head, then the bias and the scale of each output (f32); the keys of the pieces, ascending (u32); for each piece a weight an
//! output (i8); SHA-256 of all before.

mod keys;

pub use keys::{Keys, characters, hash, is_letter};

use sha2::{Digest as _, Sha256};
use std::borrow::Cow;
use std::ops::Range;

const VERSION: u8 = 1;
const SUM: usize = 32;
/// Keys are found by their upper bits; so many are the lower ones.
const LOW: u32 = u16::BITS;

/// Why bytes are no model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Not this format, or another version of it.
    Format,
    /// The length does not fit the header.
    Length,
    /// The checksum is another.
    Checksum,
    /// A number that is not finite, or keys that do not ascend.
    Content,
}

/// Weights of `N` outputs as a trainer makes them, with `E` numbers of the model's own in the head; `MARK` is the four letters that
/// the format begins with.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights<const N: usize, const E: usize, const MARK: u32> {
    /// What the model adds to the head.
    pub extra: [f32; E],
    /// What each output says of an empty message.
    pub bias: [f32; N],
    /// What a weight of 1 is worth, for each output.
    pub scale: [f32; N],
    /// The keys of the pieces, ascending.
    pub keys: Vec<u32>,
    /// The weights of each piece, in the order of the keys.
    pub rows: Vec<[i8; N]>,
}

impl<const N: usize, const E: usize, const MARK: u32> Default for Weights<N, E, MARK> {
    fn default() -> Self {
        Self {
            extra: [0.0; E],
            bias: [0.0; N],
            scale: [0.0; N],
            keys: Vec::new(),
            rows: Vec::new(),
        }
    }
}

impl<const N: usize, const E: usize, const MARK: u32> Weights<N, E, MARK> {
    const HEAD: usize = 12 + 4 * (E + 2 * N);
    #[expect(clippy::cast_possible_truncation, reason = "some twenty outputs")]
    const OUTPUTS: u8 = N as u8;

    /// The bytes of the format.
    pub fn to_bytes(&self) -> Vec<u8> {
        let count = u32::try_from(self.keys.len()).unwrap_or(u32::MAX);
        let mut bytes = MARK.to_be_bytes().to_vec();
        bytes.extend([VERSION, Self::OUTPUTS, 0, 0]);
        bytes.extend(count.to_le_bytes());
        for number in self.extra.iter().chain(&self.bias).chain(&self.scale) {
            bytes.extend(number.to_le_bytes());
        }
        for key in &self.keys {
            bytes.extend(key.to_le_bytes());
        }
        for row in &self.rows {
            bytes.extend(row.map(i8::cast_unsigned));
        }
        let sum = Sha256::digest(&bytes);
        bytes.extend(sum);
        bytes
    }
}

/// Weights that were checked, and can be found.
#[derive(Debug)]
pub struct Table<const N: usize, const E: usize, const MARK: u32> {
    /// What the model adds to the head.
    pub extra: [f32; E],
    /// What each output says of an empty message.
    pub bias: [f32; N],
    scale: [f32; N],
    /// Where the keys begin that have these upper bits; keys are hashes, so it is two or three of them.
    starts: Vec<u32>,
    /// The lower bits of the keys.
    lows: Vec<u16>,
    /// The bytes of the format, which those of the program can stay in, and where the rows of weights are.
    bytes: Cow<'static, [u8]>,
    rows: Range<usize>,
}

impl<const N: usize, const E: usize, const MARK: u32> Table<N, E, MARK> {
    /// The table of these weights.
    pub fn new(weights: &Weights<N, E, MARK>) -> Result<Self, Fault> {
        Self::from_bytes(weights.to_bytes())
    }

    /// Decodes and checks the bytes of the format.
    pub fn from_bytes(bytes: impl Into<Cow<'static, [u8]>>) -> Result<Self, Fault> {
        let bytes = bytes.into();
        let head = Weights::<N, E, MARK>::HEAD;
        if bytes.len() < head + SUM {
            return Err(Fault::Length);
        }
        let outputs = Weights::<N, E, MARK>::OUTPUTS;
        if bytes[..4] != MARK.to_be_bytes() || bytes[4..8] != [VERSION, outputs, 0, 0] {
            return Err(Fault::Format);
        }
        let (body, sum) = bytes.split_at(bytes.len() - SUM);
        let count = u32s(&body[8..12]).next().unwrap_or(0) as usize;
        if body.len() - head != count.saturating_mul(4 + N) {
            return Err(Fault::Length);
        }
        if Sha256::digest(body).as_slice() != sum {
            return Err(Fault::Checksum);
        }
        let numbers: Vec<f32> = u32s(&body[12..head]).map(f32::from_bits).collect();
        let keys = || u32s(&body[head..head + 4 * count]);
        if !numbers.iter().all(|number| number.is_finite()) || !keys().is_sorted_by(|a, b| a < b) {
            return Err(Fault::Content);
        }
        let mut numbers = numbers.into_iter();
        let mut next = || numbers.next().unwrap_or_default();
        let extra = std::array::from_fn(|_| next());
        let bias = std::array::from_fn(|_| next());
        let scale = std::array::from_fn(|_| next());
        let mut starts = vec![0u32; (1 << (u32::BITS - LOW)) + 1];
        for key in keys() {
            starts[(key >> LOW) as usize + 1] += 1;
        }
        for upper in 1..starts.len() {
            starts[upper] += starts[upper - 1];
        }
        // Four are looked at together, from wherever they begin.
        let lows = keys().map(low).chain([0; 4]).collect();
        let rows = head + 4 * count..body.len();
        Ok(Self {
            extra,
            bias,
            scale,
            starts,
            lows,
            bytes,
            rows,
        })
    }

    /// The raw scores of a text with these keys, one an output; `None` if no piece of it is known.
    pub fn scores(&self, keys: &[u32]) -> Option<[f32; N]> {
        let places = self.places(keys);
        let (rows, _) = self.bytes.get(self.rows.clone())?.as_chunks::<N>();
        let mut sums = [0i32; N];
        for row in places.iter().filter_map(|place| rows.get(*place as usize)) {
            for (sum, weight) in sums.iter_mut().zip(row) {
                *sum += i32::from(weight.cast_signed());
            }
        }
        let share = norm(keys.len());
        (!places.is_empty()).then(|| {
            #[expect(clippy::cast_precision_loss, reason = "some thousand times 127")]
            std::array::from_fn(|o| self.bias[o] + sums[o] as f32 * self.scale[o] * share)
        })
    }

    /// Which rows there are for these keys. Half of the pieces of a message are known, and which cannot be foreseen: so there
    /// is no branch on it, and four keys are compared at once.
    fn places(&self, keys: &[u32]) -> Vec<u32> {
        const ONES: u64 = u64::MAX / 0xffff;
        let mut places = vec![0; keys.len() + 1];
        let mut known = 0;
        for key in keys {
            let upper = (key >> LOW) as usize;
            let (mut at, to) = (self.starts[upper], self.starts[upper + 1]);
            let wanted = u64::from(low(*key)) * ONES;
            loop {
                let four = self.lows.get(at as usize..).and_then(<[u16]>::first_chunk);
                let [a, b, c, d] = four.copied().unwrap_or_default().map(u64::from);
                let other = (a | b << 16 | c << 32 | d << 48) ^ wanted;
                // The top bit of the first sixteen that are zero, and maybe of later ones.
                let same = other.wrapping_sub(ONES) & !other & ONES << 15;
                places[known] = at + same.trailing_zeros() / 16;
                known += usize::from(same != 0 && places[known] < to);
                at += 4;
                if at >= to {
                    break;
                }
            }
        }
        places.truncate(known);
        places
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower bits")]
const fn low(key: u32) -> u16 {
    key as u16
}

/// What the sum over `pieces` pieces is multiplied with, so that long messages do not shout.
#[expect(clippy::cast_precision_loss, reason = "some thousand at most")]
pub fn norm(pieces: usize) -> f32 {
    1.0 / (pieces.max(1) as f32).sqrt()
}

/// Scores as probabilities.
pub fn softmax(scores: &[f32]) -> Vec<f32> {
    let top = scores.iter().copied().fold(f32::MIN, f32::max);
    let mut shares: Vec<f32> = scores.iter().map(|score| (score - top).exp()).collect();
    let sum: f32 = shares.iter().sum();
    for share in &mut shares {
        *share /= sum;
    }
    shares
}

/// The place of the highest, the first of equals.
pub fn highest(numbers: &[f32]) -> usize {
    (0..numbers.len()).fold(
        0,
        |best, i| if numbers[i] > numbers[best] { i } else { best },
    )
}

fn u32s(bytes: &[u8]) -> impl Iterator<Item = u32> {
    let (words, _) = bytes.as_chunks::<4>();
    words.iter().map(|word| u32::from_le_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;

    const MARK: u32 = u32::from_be_bytes(*b"TEST");

    /// Every key is found by its own row and no other is, also where many have the same upper bits, or none.
    #[test]
    fn a_table_says_what_its_weights_say() {
        let crowd = (0..9).map(|low| 7 << LOW | low);
        let ends = [0, 1, u32::from(u16::MAX), u32::MAX - 1, u32::MAX];
        let mut keys: Vec<u32> = crowd.chain(ends).chain([8 << LOW, 9 << LOW | 5]).collect();
        keys.sort_unstable();
        let small = |n: u32| i8::try_from(n % 100).unwrap();
        let row = |key: u32| [small(key) + 1, -small(key / 3) - 1];
        let weights = Weights::<2, 1, MARK> {
            extra: [0.5],
            bias: [1.0, -1.0],
            scale: [0.5, 2.0],
            rows: keys.iter().map(|key| row(*key)).collect(),
            keys: keys.clone(),
        };
        let table = Table::new(&weights).unwrap();
        assert_eq!((table.extra, table.bias), ([0.5], [1.0, -1.0]));
        for key in &keys {
            let [a, b] = row(*key).map(f32::from);
            let expected = [1.0 + a * 0.5, -1.0 + b * 2.0];
            assert_eq!(table.scores(&[*key]), Some(expected), "{key:#x}");
        }
        let sum = keys.iter().map(|key| i32::from(row(*key)[0])).sum::<i32>();
        let all = table.scores(&keys).unwrap();
        #[expect(clippy::cast_precision_loss, reason = "some hundred")]
        let expected = 1.0 + sum as f32 * 0.5 * norm(keys.len());
        assert!((all[0] - expected).abs() < 1e-3, "{all:?} {expected}");
        // Behind the last there is nothing in the table.
        let upper = [
            (7, 9),
            (6, 0),
            (8, 1),
            (9, 0),
            (10, 5),
            (0, 2),
            (0xfffe, 0),
            (0xffff, 0),
        ];
        let unknown = upper.map(|(upper, lower)| upper << LOW | lower);
        assert_eq!(table.scores(&unknown), None);
        assert_eq!(table.scores(&[]), None);
        let lacking = Weights {
            rows: vec![[0, 0]],
            ..weights
        };
        assert_eq!(Table::new(&lacking).unwrap_err(), Fault::Length);
        let empty = Table::new(&Weights::<2, 1, MARK>::default()).unwrap();
        assert_eq!(empty.scores(&unknown), None);
    }
}
