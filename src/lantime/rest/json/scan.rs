//! Looks for ends in a JSON text, many bytes at a time. Pure.

use wide::{u8x16, u8x32};

/// How many bytes from there on are neither quotes, nor backslashes, nor control characters. Most texts are short.
#[inline]
pub(super) fn plain(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let mut found = 0;
    loop {
        let bytes = u8x16::from(chunk(rest, found));
        let is = |byte| bytes.simd_eq(u8x16::splat(byte));
        let is_control = bytes.simd_eq(bytes.min(u8x16::splat(0x1f)));
        let ends = (is(b'"') | is(b'\\') | is_control).to_bitmask();
        if ends != 0 {
            return (found + ends.trailing_zeros() as usize).min(rest.len());
        }
        found += 16;
    }
}

/// The place after the bracket that closes an object or a list, which begins before that place; `None` where none does.
/// Brackets of either kind count as the same, and those in texts not at all.
pub(super) fn after_brackets(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 1_u32;
    // What the bytes before have left: whether the first one is escaped (a bit), and whether it is in a text (all bits).
    let (mut is_escaped, mut is_text) = (0, 0);
    while at < text.len() {
        let bytes = chunk::<64>(text, at);
        let is = |byte| bits(&bytes, |bytes| bytes.simd_eq(u8x32::splat(byte)));
        let (mut quotes, backslashes) = (is(b'"'), is(b'\\'));
        // Nearly always there are none.
        if backslashes | is_escaped != 0 {
            let escaped;
            (escaped, is_escaped) = after_backslashes(backslashes, is_escaped);
            quotes &= !escaped;
        }
        let in_text = between(quotes) ^ is_text;
        is_text = 0_u64.wrapping_sub(in_text >> 63);
        // The four brackets differ in these bits alone; so do few other bytes, which JSON has in texts only.
        let is_bracket = |bytes: u8x32| (bytes | u8x32::splat(0x26)).simd_eq(u8x32::splat(0x7f));
        let mut brackets = bits(&bytes, is_bracket) & !in_text;
        while brackets != 0 {
            let place = at + brackets.trailing_zeros() as usize;
            match text[place] {
                b'{' | b'[' => depth += 1,
                b'}' | b']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(place + 1);
            }
            brackets &= brackets - 1;
        }
        at += 64;
    }
    None
}

/// A bit for each byte that `is` marks. In halves by hand: `map` of an array takes several times as many instructions.
#[inline]
fn bits(bytes: &[u8; 64], is: impl Fn(u8x32) -> u8x32) -> u64 {
    let half = |at| u64::from(is(u8x32::from(chunk(bytes, at))).to_bitmask());
    half(0) | half(32) << 32
}

/// The bytes from there on; NUL where there are no more.
#[inline]
fn chunk<const N: usize>(text: &[u8], at: usize) -> [u8; N] {
    let rest = text.get(at..).unwrap_or_default();
    rest.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; N];
        padded[..rest.len()].copy_from_slice(rest);
        padded
    })
}

/// The bytes that a backslash escapes, of which `is_escaped` is the first; and whether the one after them all is.
#[inline]
fn after_backslashes(backslashes: u64, is_escaped: u64) -> (u64, u64) {
    let mut escaped = u128::from(is_escaped);
    let mut left = backslashes & !is_escaped;
    while left != 0 {
        let next = 2 << left.trailing_zeros();
        escaped |= next;
        left &= (left - 1) & !(next as u64);
    }
    (escaped as u64, (escaped >> 64) as u64)
}

/// Each bit from a quote on, up to the next: how many there are up to there, even or odd.
#[inline]
fn between(quotes: u64) -> u64 {
    [1, 2, 4, 8, 16, 32]
        .iter()
        .fold(quotes, |sum, shift| sum ^ (sum << shift))
}
