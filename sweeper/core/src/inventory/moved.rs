//! Listings that move from one inventory to another: what several processes listed becomes one, and a part of it goes
//! back to be asked about.

use super::{
    BTreeSet, Interner, Inventory, InventoryBuilder, KindSpec, Place, ResourceIx, Row, Scope, Shared, Status, Sym,
    Table, lock,
};
use crate::begun::is_whole;

impl Table {
    /// The same in another place, with the symbols of another inventory.
    fn moved(mut self, place: Place, mut there: impl FnMut(Sym) -> Sym) -> Self {
        (self.kind, self.scope) = (place.kind, place.scope);
        for row in &mut self.rows {
            let Row { native, uid, name, region, managed_by, protected, .. } = row;
            for sym in [native, uid, name, region, managed_by, protected] {
                *sym = there(*sym);
            }
        }
        for (key, value) in &mut self.tags {
            (*key, *value) = (there(*key), there(*value));
        }
        for used in &mut self.uses {
            used.target = there(used.target);
        }
        for (_, name) in &mut self.also {
            *name = there(*name);
        }
        self.facts.renumber(there);
        self
    }
}

/// Which symbol here stands for the text of one elsewhere, once it was needed.
struct Texts(Vec<Option<Sym>>);

impl Texts {
    fn of(strings: &Interner) -> Self {
        Self(vec![None; strings.len()])
    }

    fn here(&mut self, sym: Sym, from: &Interner, to: &Shared) -> Sym {
        let intern = || lock(to).intern(from.text(sym));
        match self.0.get_mut(sym.number() as usize) {
            Some(known) => *known.get_or_insert_with(intern),
            None => intern(),
        }
    }
}

impl InventoryBuilder {
    /// Takes over the listings that another inventory owns, as if they had been made here, and whatever else it
    /// could not see. Their scopes must be placed before.
    pub(crate) fn adopt(&mut self, mut from: Inventory, owns: impl Fn(&'static KindSpec, &Scope) -> bool) {
        let mut texts = Texts::of(&from.strings);
        let owned: BTreeSet<(u16, u32)> = from
            .coverage
            .keys()
            .filter(|(kind, scope)| owns(from.kinds[*kind as usize], &from.scopes[*scope as usize]))
            .copied()
            .collect();
        for (key, covered) in from.coverage {
            let (spec, scope) = (from.kinds[key.0 as usize], &from.scopes[key.1 as usize]);
            if owned.contains(&key) {
                let place = self.place(spec, scope);
                self.coverage.insert((place.kind, place.scope), covered);
            } else if let (Status::Blind { why }, Some(kind)) = (covered.status, self.kind(spec)) {
                self.blind.insert((kind, scope.clone()), why);
            }
        }
        for table in std::mem::take(&mut from.tables) {
            if owned.contains(&(table.kind, table.scope)) {
                let place = self.place(from.kinds[table.kind as usize], &from.scopes[table.scope as usize]);
                let moved = table.moved(place, |sym| texts.here(sym, &from.strings, &self.strings));
                self.tables.insert((place.kind, place.scope), moved);
            }
        }
    }

    /// Takes over whole listings of an earlier look, of those that are still to be made here. Parts that a listing could
    /// not see stand under scopes that nobody lists: of such a kind and account nothing is taken. How many were.
    pub(crate) fn go_on(&mut self, mut from: Inventory, is_listed: impl Fn(&KindSpec, &Scope) -> bool) -> usize {
        let (kinds, scopes) = (from.kinds.clone(), from.scopes.clone());
        let at = |(kind, scope): &(u16, u32)| (kinds[*kind as usize], &scopes[*scope as usize]);
        let mut torn = BTreeSet::new();
        for (key, covered) in &from.coverage {
            let (spec, scope) = at(key);
            if !is_listed(spec, scope) && !matches!(covered.status, Status::Complete | Status::None { .. }) {
                torn.insert((spec.id, scope.cloud, scope.account.as_str()));
            }
        }
        from.coverage.retain(|key, covered| {
            let (spec, scope) = at(key);
            is_whole(covered)
                && is_listed(spec, scope)
                && !torn.contains(&(spec.id, scope.cloud, scope.account.as_str()))
        });
        let count = from.coverage.len();
        self.adopt(from, |_, _| true);
        count
    }

    /// Whether anything is known of a listing.
    pub(crate) fn is_covered(&self, spec: &KindSpec, scope: &Scope) -> bool {
        let place = self.kind(spec).zip(self.numbers.get(scope).copied());
        place.is_some_and(|place| self.coverage.contains_key(&place))
    }
}

impl Inventory {
    /// The listings that some resources are in, whole and by themselves.
    pub(crate) fn part(&self, around: impl IntoIterator<Item = ResourceIx>) -> Self {
        let wanted: BTreeSet<u32> = around.into_iter().map(|ix| ix.table).collect();
        let mut part = InventoryBuilder::new(&self.kinds);
        let mut texts = Texts::of(&self.strings);
        for table in wanted.into_iter().filter_map(|at| self.tables.get(at as usize)) {
            let place = part.place(self.kinds[table.kind as usize], &self.scopes[table.scope as usize]);
            let key = (place.kind, place.scope);
            if let Some(covered) = self.coverage.get(&(table.kind, table.scope)) {
                part.coverage.insert(key, covered.clone());
            }
            let moved = table.clone().moved(place, |sym| texts.here(sym, &self.strings, &part.strings));
            part.tables.insert(key, moved);
        }
        part.build()
    }

    /// Where the resource stands that is in a row of a listing.
    pub(crate) fn find_row(&self, kind: &str, scope: &Scope, row: u32) -> Option<ResourceIx> {
        let kind = self.kinds.iter().position(|spec| spec.id == kind)? as u16;
        let scope = self.numbers.get(scope)?;
        let table = self.tables.binary_search_by_key(&(kind, *scope), |table| (table.kind, table.scope)).ok()?;
        let ix = ResourceIx { table: table as u32, row };
        self.has(ix).then_some(ix)
    }
}
