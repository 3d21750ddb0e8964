//! The sums of one roll-up.

use crate::{
    focus::Lane,
    names::Names,
    request::{Day, Key, Measure, Rollup, number_of},
    row::{Cost, Rows, part_of},
};
use std::collections::HashMap;

/// No window, no name.
const NONE: u32 = u32::MAX;
/// No cell.
const NOWHERE: usize = usize::MAX;
/// Cells that lie together; a power of two.
const PIECE: usize = 1 << 16;
/// More groups than this in one roll-up: a column is something else than it says.
pub(crate) const MOST_GROUPS: usize = 1 << 24;

/// Sums by cell; each group has the same number of them, one after another. A cell is 64 bits wide, which holds nine
/// million major units; what goes beyond is carried over to a place of its own.
struct Sums {
    width: usize,
    /// In pieces: one long vector would be copied, and held twice, each time it grows.
    pieces: Vec<Box<[i64; PIECE]>>,
    carried: HashMap<usize, i128>,
}

impl Sums {
    fn reserve(&mut self, groups: usize) {
        while self.pieces.len() * PIECE < groups * self.width {
            match vec![0; PIECE].into_boxed_slice().try_into() {
                Ok(piece) => self.pieces.push(piece),
                Err(_) => return,
            }
        }
    }

    #[inline]
    fn add(&mut self, cell: usize, value: i128) {
        let sum = &mut self.pieces[cell / PIECE][cell % PIECE];
        let small = value as i64;
        match sum.checked_add(small) {
            Some(total) if i128::from(small) == value => *sum = total,
            _ => self.carry(cell, value),
        }
    }

    #[cold]
    fn carry(&mut self, cell: usize, value: i128) {
        let carried = self.carried.entry(cell).or_default();
        // A row has at most 10²⁷ units: 10¹¹ of them fit.
        *carried = carried.saturating_add(value);
    }

    fn get(&self, cell: usize) -> i128 {
        let small = self.pieces.get(cell / PIECE).map_or(0, |piece| piece[cell % PIECE]);
        if self.carried.is_empty() {
            return i128::from(small);
        }
        let carried = self.carried.get(&cell);
        carried.copied().unwrap_or_default().saturating_add(i128::from(small))
    }
}

/// Pairs that a plain matrix has room for.
const MOST_DENSE: u64 = 1 << 19;

/// From two numbers to one, in the order they are met: by a matrix while both are few, by hashing from then on.
#[derive(Default)]
struct Pairs {
    /// One more than the number of the pair, by left number and, in this many bits, right number.
    dense: Vec<u32>,
    bits: u32,
    /// Both numbers, and one more than the number of the pair. Empty while the matrix is used.
    slots: Vec<(u64, u32)>,
    count: u32,
}

impl Pairs {
    /// The number of a pair, and whether it is new.
    #[inline]
    fn number(&mut self, left: u32, right: u32) -> (u32, bool) {
        loop {
            let at = (u64::from(left) << self.bits | u64::from(right)) as usize;
            if u64::from(right) >> self.bits == 0
                && let Some(number) = self.dense.get_mut(at)
            {
                if *number == 0 {
                    self.count += 1;
                    *number = self.count;
                    return (self.count - 1, true);
                }
                return (*number - 1, false);
            }
            if !self.slots.is_empty() {
                return self.hashed(left, right);
            }
            self.widen(left, right);
        }
    }

    /// Makes room in the matrix, or gives it up.
    #[cold]
    fn widen(&mut self, left: u32, right: u32) {
        let bits = self.bits.max(32 - right.leading_zeros()).max(4);
        let lefts = (u64::from(left) + 1).max((self.dense.len() >> self.bits) as u64).next_power_of_two();
        let (old, shift) = (std::mem::take(&mut self.dense), self.bits);
        let pairs = old.iter().enumerate().filter(|(_, number)| **number != 0);
        let pairs = pairs.map(|(at, number)| ((at >> shift) as u64, at as u64 & ((1 << shift) - 1), *number));
        if lefts << bits <= MOST_DENSE {
            self.bits = bits;
            self.dense.resize((lefts << bits) as usize, 0);
            for (left, right, number) in pairs {
                self.dense[(left << bits | right) as usize] = number;
            }
            return;
        }
        self.slots.resize(((self.count as usize + 1) * 4).next_power_of_two().max(1 << 8), (0, 0));
        for (left, right, number) in pairs {
            self.fill(left << 32 | right, number);
        }
    }

    fn hashed(&mut self, left: u32, right: u32) -> (u32, bool) {
        if (self.count as usize + 1) * 2 > self.slots.len() {
            let empty = vec![(0, 0); self.slots.len() * 2];
            for (pair, number) in std::mem::replace(&mut self.slots, empty) {
                if number != 0 {
                    self.fill(pair, number);
                }
            }
        }
        let pair = u64::from(left) << 32 | u64::from(right);
        let mask = self.slots.len() - 1;
        let mut at = self.place(pair);
        loop {
            let (found, number) = self.slots[at];
            if number == 0 {
                self.count += 1;
                self.slots[at] = (pair, self.count);
                return (self.count - 1, true);
            }
            if found == pair {
                return (number - 1, false);
            }
            at = (at + 1) & mask;
        }
    }

    #[inline]
    fn place(&self, pair: u64) -> usize {
        // Fibonacci hashing: the upper bits of the product are well mixed.
        (pair.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20) as usize & (self.slots.len() - 1)
    }

    fn fill(&mut self, pair: u64, number: u32) {
        let mask = self.slots.len() - 1;
        let mut at = self.place(pair);
        while self.slots[at].1 != 0 {
            at = (at + 1) & mask;
        }
        self.slots[at] = (pair, number);
    }
}

pub(crate) struct Table {
    keys: Vec<Key>,
    attributes: Vec<Key>,
    measures: Vec<Measure>,
    /// By lane; whether it is summed.
    lanes: [bool; Lane::ALL.len()],
    first: Day,
    /// By day from the first: its window.
    window: Vec<u32>,
    /// One stage less than there are keys. The last stage's number is the group's.
    pairs: Vec<Pairs>,
    /// The names of each group, where it has several keys; with one, its number is the name's.
    members: Vec<u32>,
    /// Whether a group has any row.
    seen: Vec<bool>,
    told: Vec<u32>,
    sums: Sums,
    windows: Vec<u32>,
    groups: Vec<u32>,
    /// Where the sums of each row's group and window start.
    cells: Vec<usize>,
    long: Vec<u32>,
    /// More groups than this are not taken.
    most: usize,
    full: bool,
}

impl Table {
    pub(crate) fn new(rollup: &Rollup) -> Self {
        let first = rollup.windows.iter().map(|window| number_of(window.from)).min().unwrap_or(0);
        let end = rollup.windows.iter().map(|window| number_of(window.to)).max().unwrap_or(first);
        let mut window = vec![NONE; (end - first).max(0) as usize];
        for (index, span) in rollup.windows.iter().enumerate() {
            for day in number_of(span.from)..number_of(span.to) {
                window[(day - first) as usize] = index as u32;
            }
        }
        let lanes = Lane::ALL.map(|lane| rollup.lanes.is_empty() || rollup.lanes.contains(&lane));
        let mut pairs = Vec::new();
        pairs.resize_with(rollup.keys.len().saturating_sub(1), Pairs::default);
        let width = rollup.windows.len() * rollup.measures.len();
        Self {
            keys: rollup.keys.clone(),
            attributes: rollup.attributes.clone(),
            measures: rollup.measures.clone(),
            lanes,
            first,
            window,
            pairs,
            members: Vec::new(),
            seen: Vec::new(),
            told: Vec::new(),
            sums: Sums { width, pieces: Vec::new(), carried: HashMap::new() },
            windows: Vec::new(),
            groups: Vec::new(),
            cells: Vec::new(),
            long: Vec::new(),
            most: MOST_GROUPS,
            full: false,
        }
    }

    /// Gives it room for so many sums.
    pub(crate) fn limit(&mut self, sums: usize) {
        self.most = (sums / self.sums.width.max(1)).clamp(1, MOST_GROUPS);
    }

    pub(crate) const fn is_full(&self) -> bool {
        self.full
    }

    #[inline]
    fn window_of(&self, day: Day) -> u32 {
        // A day before the first becomes a huge number.
        self.window.get((day - self.first) as u32 as usize).copied().unwrap_or(NONE)
    }

    /// Adds rows. Fails when there are too many groups.
    pub(crate) fn add(&mut self, rows: &Rows, names: &[Names]) -> Result<(), String> {
        let mut windows = std::mem::take(&mut self.windows);
        windows.clear();
        windows.extend(rows.day.iter().map(|day| self.window_of(*day)));
        if self.lanes.contains(&false) {
            for (window, lane) in windows.iter_mut().zip(&rows.lane) {
                if !self.lanes[*lane as usize] {
                    *window = NONE;
                }
            }
        }
        let mut long = std::mem::take(&mut self.long);
        long.clear();
        for (row, days) in rows.days.iter().enumerate() {
            if *days > 1 {
                windows[row] = NONE;
                if rows.lane.get(row).is_none_or(|lane| self.lanes[*lane as usize]) {
                    long.push(row as u32);
                }
            }
        }
        let mut groups = std::mem::take(&mut self.groups);
        groups.clear();
        self.number(rows, &windows, &mut groups);
        self.reserve(names)?;
        let (width, stride) = (self.sums.width, self.measures.len());
        self.cells.clear();
        for (group, window) in groups.iter().zip(&windows) {
            if *window == NONE {
                self.cells.push(NOWHERE);
            } else {
                self.seen[*group as usize] = true;
                self.cells.push(*group as usize * width + *window as usize * stride);
            }
        }
        for (index, measure) in self.measures.clone().into_iter().enumerate() {
            self.measure(measure, index, rows);
        }
        for attribute in 0..self.attributes.len() {
            let (key, count) = (self.attributes[attribute], self.attributes.len());
            let told = &rows.names[key as usize];
            for ((group, window), name) in groups.iter().zip(&windows).zip(told) {
                if *window != NONE {
                    tell(&mut self.told[*group as usize * count + attribute], *name, &names[key as usize]);
                }
            }
        }
        for row in &long {
            self.spread(rows, *row as usize, names)?;
        }
        (self.windows, self.groups, self.long) = (windows, groups, long);
        Ok(())
    }

    /// The group of each row that has a window.
    fn number(&mut self, rows: &Rows, windows: &[u32], groups: &mut Vec<u32>) {
        match self.keys.as_slice() {
            [] => groups.resize(windows.len(), 0),
            [key] => groups.extend_from_slice(&rows.names[*key as usize]),
            [left, right] => {
                let (left, right) = (&rows.names[*left as usize], &rows.names[*right as usize]);
                let pairs = &mut self.pairs[0];
                for ((left, right), window) in left.iter().zip(right).zip(windows) {
                    if *window == NONE {
                        groups.push(0);
                        continue;
                    }
                    let (group, new) = pairs.number(*left, *right);
                    if new {
                        self.members.extend([*left, *right]);
                    }
                    groups.push(group);
                }
            }
            _ => {
                for (row, window) in windows.iter().enumerate() {
                    groups.push(if *window == NONE { 0 } else { self.group_of(rows, row) });
                }
            }
        }
    }

    fn group_of(&mut self, rows: &Rows, row: usize) -> u32 {
        let name = |key: &Key| rows.names[*key as usize][row];
        let numbers: Vec<u32> = self.keys.iter().map(name).collect();
        self.group(&numbers)
    }

    /// The group of these names.
    fn group(&mut self, numbers: &[u32]) -> u32 {
        let Some((first, rest)) = numbers.split_first() else { return 0 };
        let (mut group, mut new) = (*first, false);
        for (pairs, number) in self.pairs.iter_mut().zip(rest) {
            (group, new) = pairs.number(group, *number);
        }
        if new {
            self.members.extend_from_slice(numbers);
        }
        group
    }

    fn reserve(&mut self, names: &[Names]) -> Result<(), String> {
        let groups = match self.keys.as_slice() {
            [] => 1,
            [key] => names[*key as usize].len(),
            keys => self.members.len() / keys.len(),
        };
        if groups > self.most {
            self.full = true;
            let columns: Vec<&str> = self.keys.iter().filter_map(|key| key.columns().first().copied()).collect();
            return Err(format!("more than {} different values of {}", self.most, columns.join(", ")));
        }
        if self.seen.len() < groups {
            self.seen.resize(groups, false);
            self.told.resize(groups * self.attributes.len(), NONE);
            self.sums.reserve(groups);
        }
        Ok(())
    }

    fn measure(&mut self, measure: Measure, index: usize, rows: &Rows) {
        match source(measure) {
            Some(cost) => {
                for (cell, amount) in self.cells.iter().zip(&rows.amounts[cost as usize]) {
                    if *cell != NOWHERE {
                        self.sums.add(cell + index, *amount);
                    }
                }
            }
            None => {
                for (row, cell) in self.cells.iter().enumerate() {
                    if *cell != NOWHERE {
                        let count = count(measure, rows, row);
                        if count != 0 {
                            self.sums.add(cell + index, count);
                        }
                    }
                }
            }
        }
    }

    /// A row of several days.
    #[cold]
    fn spread(&mut self, rows: &Rows, row: usize, names: &[Names]) -> Result<(), String> {
        let (day, days) = (rows.day[row], rows.days[row]);
        let windows: Vec<(u16, u32)> = (0..days)
            .map(|index| (index, self.window_of(day + Day::from(index))))
            .filter(|(_, window)| *window != NONE)
            .collect();
        if windows.is_empty() {
            return Ok(());
        }
        let group = self.group_of(rows, row);
        self.reserve(names)?;
        self.seen[group as usize] = true;
        for (attribute, key) in self.attributes.iter().enumerate() {
            let told = &mut self.told[group as usize * self.attributes.len() + attribute];
            tell(told, rows.names[*key as usize][row], &names[*key as usize]);
        }
        for (index, measure) in self.measures.iter().enumerate() {
            for (day, window) in &windows {
                let value = match source(*measure) {
                    Some(cost) => part_of(rows.amounts[cost as usize][row], *day, days),
                    None => count(*measure, rows, row),
                };
                self.sums.add(group as usize * self.sums.width + *window as usize * self.measures.len() + index, value);
            }
        }
        Ok(())
    }

    /// Adds the sums of another table of the same roll-up. `number` gives our number of its name.
    pub(crate) fn merge(
        &mut self,
        other: &Self,
        names: &mut [Names],
        mut number: impl FnMut(&mut [Names], Key, u32) -> u32,
    ) -> Result<(), String> {
        let mut numbers = Vec::new();
        for theirs in other.groups() {
            numbers.clear();
            for index in 0..self.keys.len() {
                numbers.push(number(names, self.keys[index], other.member(theirs, index)));
            }
            let ours = self.group(&numbers);
            self.reserve(names)?;
            self.seen[ours as usize] = true;
            for attribute in 0..self.attributes.len() {
                let told = other.told[theirs as usize * self.attributes.len() + attribute];
                if told != NONE {
                    let key = self.attributes[attribute];
                    let name = number(names, key, told);
                    tell(&mut self.told[ours as usize * self.attributes.len() + attribute], name, &names[key as usize]);
                }
            }
            for cell in 0..self.sums.width {
                let sum = other.sum(theirs, cell);
                if sum != 0 {
                    self.sums.add(ours as usize * self.sums.width + cell, sum);
                }
            }
        }
        Ok(())
    }

    /// Adds the sums of the same keys in other windows, each of which lies in one of ours, or in none. The last of their
    /// measures, or one of them, counts rows.
    pub(crate) fn cut(
        &mut self,
        other: &Self,
        windows: &[Option<usize>],
        names: &mut [Names],
        mut number: impl FnMut(&mut [Names], Key, u32) -> u32,
    ) -> Result<bool, String> {
        let (theirs, ours) = (other.measures.len(), self.measures.len());
        let rows = other.measures.iter().position(|measure| *measure == Measure::Rows).ok_or("it counts no rows")?;
        let taken: Vec<(usize, usize)> =
            windows.iter().enumerate().filter_map(|(from, to)| Some((from * theirs, (*to)? * ours))).collect();
        let (mut any, mut numbers) = (false, Vec::new());
        for group in other.groups() {
            if taken.iter().all(|(from, _)| other.sum(group, from + rows) == 0) {
                continue;
            }
            numbers.clear();
            for index in 0..self.keys.len() {
                numbers.push(number(names, self.keys[index], other.member(group, index)));
            }
            let own = self.group(&numbers);
            self.reserve(names)?;
            self.seen[own as usize] = true;
            any = true;
            for (from, to) in &taken {
                for measure in 0..ours {
                    let sum = other.sum(group, from + measure);
                    if sum != 0 {
                        self.sums.add(own as usize * self.sums.width + to + measure, sum);
                    }
                }
            }
        }
        Ok(any)
    }

    /// Adds one group as it was written down.
    pub(crate) fn restore(
        &mut self,
        members: &[u32],
        told: &[u32],
        cells: &[(usize, i128)],
        names: &[Names],
    ) -> Result<(), String> {
        let group = self.group(members);
        self.reserve(names)?;
        self.seen[group as usize] = true;
        for (attribute, name) in told.iter().enumerate() {
            let key = self.attributes[attribute];
            tell(&mut self.told[group as usize * self.attributes.len() + attribute], *name, &names[key as usize]);
        }
        for (cell, sum) in cells {
            self.sums.add(group as usize * self.sums.width + cell, *sum);
        }
        Ok(())
    }

    /// Groups that have a row, in no order that means anything.
    pub(crate) fn groups(&self) -> impl Iterator<Item = u32> {
        self.seen.iter().enumerate().filter(|(_, seen)| **seen).map(|(group, _)| group as u32)
    }

    /// The number of the name that a group has for its `index`th key.
    pub(crate) fn member(&self, group: u32, index: usize) -> u32 {
        match self.keys.len() {
            1 => group,
            count => self.members[group as usize * count + index],
        }
    }

    pub(crate) fn told(&self, group: u32, attribute: usize) -> u32 {
        match self.told[group as usize * self.attributes.len() + attribute] {
            NONE => 0,
            name => name,
        }
    }

    pub(crate) fn sum(&self, group: u32, cell: usize) -> i128 {
        self.sums.get(group as usize * self.sums.width + cell)
    }

    pub(crate) fn width(&self) -> usize {
        self.sums.width
    }
}

/// Keeps the smallest name; null is none.
#[inline]
fn tell(told: &mut u32, name: u32, names: &Names) {
    if *told == name || name == 0 {
        return;
    }
    if *told == NONE || names.bytes(name) < names.bytes(*told) {
        *told = name;
    }
}

/// The amounts that a measure sums; none when it counts.
const fn source(measure: Measure) -> Option<Cost> {
    match measure {
        Measure::Billed => Some(Cost::Billed),
        Measure::Effective => Some(Cost::Effective),
        Measure::Contracted => Some(Cost::Contracted),
        Measure::List => Some(Cost::List),
        Measure::Quantity => Some(Cost::Quantity),
        Measure::Rows | Measure::ContractedUnknown | Measure::ListUnknown => None,
    }
}

#[inline]
fn count(measure: Measure, rows: &Rows, row: usize) -> i128 {
    let unknown =
        |cost: Cost| rows.amounts[cost as usize][row] == 0 && rows.amounts[Cost::Effective as usize][row] != 0;
    i128::from(match measure {
        Measure::ContractedUnknown => unknown(Cost::Contracted),
        Measure::ListUnknown => unknown(Cost::List),
        _ => true,
    })
}
