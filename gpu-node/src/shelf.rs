//! Pictures that are kept while there is room, so that those who need the same one share its making and its memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OnceCell;

/// Pictures by what tells them apart, bounded in bytes; the longest unused ones leave first.
///
/// What has left is still shared by those who have it.
#[derive(Debug)]
pub(crate) struct Shelf<K, T> {
    bytes_max: u64,
    slots: Mutex<Slots<K, T>>,
}

#[derive(Debug)]
struct Slots<K, T> {
    by_key: HashMap<K, Slot<T>>,
    /// Counts uses.
    uses: u64,
}

#[derive(Debug)]
struct Slot<T> {
    shelved: Arc<OnceCell<Shelved<T>>>,
    last_use: u64,
}

#[derive(Debug)]
struct Shelved<T> {
    picture: Arc<T>,
    bytes: u64,
}

impl<K: Copy + Eq + Hash, T> Shelf<K, T> {
    pub(crate) fn new(bytes_max: u64) -> Self {
        Self {
            bytes_max,
            slots: Mutex::new(Slots {
                by_key: HashMap::new(),
                uses: 0,
            }),
        }
    }

    /// The picture, made by `make` with its length in bytes if it is not here. Of several who ask at once, one makes it;
    /// the next one tries when that fails.
    pub(crate) async fn get<E>(
        &self,
        key: K,
        make: impl AsyncFnOnce() -> Result<(T, u64), E>,
    ) -> Result<Arc<T>, E> {
        let shelved = self.slot(key);
        let was_there = shelved.initialized();
        let picture = shelved
            .get_or_try_init(|| async {
                let (picture, bytes) = make().await?;
                let picture = Arc::new(picture);
                Ok(Shelved { picture, bytes })
            })
            .await
            .map(|shelved| shelved.picture.clone());
        drop(shelved);
        if !was_there {
            self.tidy();
        }
        picture
    }

    fn slot(&self, key: K) -> Arc<OnceCell<Shelved<T>>> {
        let mut slots = self.lock();
        slots.uses += 1;
        let last_use = slots.uses;
        let slot = slots.by_key.entry(key).or_insert_with(|| Slot {
            shelved: Arc::default(),
            last_use,
        });
        slot.last_use = last_use;
        slot.shelved.clone()
    }

    /// Removes what could not be made, and then the longest unused pictures while the shelf is over its bound.
    fn tidy(&self) {
        let mut slots = self.lock();
        slots
            .by_key
            .retain(|_, slot| slot.shelved.initialized() || Arc::strong_count(&slot.shelved) > 1);
        let mut made: Vec<(u64, K, u64)> = slots
            .by_key
            .iter()
            .filter_map(|(key, slot)| Some((slot.last_use, *key, slot.shelved.get()?.bytes)))
            .collect();
        made.sort_unstable_by_key(|(last_use, ..)| *last_use);
        let mut bytes: u64 = made.iter().map(|(.., bytes)| bytes).sum();
        for (_, key, length) in made {
            if bytes <= self.bytes_max {
                break;
            }
            slots.by_key.remove(&key);
            bytes -= length;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slots<K, T>> {
        // Every change is one insertion or removal, so a panic elsewhere leaves the shelf whole.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    async fn put(shelf: &Shelf<u8, u8>, number: u8) -> Arc<u8> {
        let made = shelf.get(number, async || Ok::<_, Infallible>((number, 10)));
        made.await.unwrap()
    }

    #[tokio::test]
    async fn several_who_ask_at_once_share_one_making() {
        let shelf = Shelf::new(100);
        let makings = AtomicU32::new(0);
        let ask = || {
            shelf.get(1, async || {
                makings.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok::<_, Infallible>((1_u8, 10))
            })
        };
        let (one, other) = tokio::join!(ask(), ask());
        assert!(Arc::ptr_eq(&one.unwrap(), &other.unwrap()));
        assert_eq!(makings.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn the_longest_unused_leaves_first_and_a_failure_leaves_nothing() {
        let shelf = Shelf::new(25);
        let first = put(&shelf, 1).await;
        let second = put(&shelf, 2).await;
        assert!(Arc::ptr_eq(&first, &put(&shelf, 1).await));
        put(&shelf, 3).await;
        assert!(Arc::ptr_eq(&first, &put(&shelf, 1).await));
        assert!(!Arc::ptr_eq(&second, &put(&shelf, 2).await));
        let failed = shelf.get(9, async || Err::<(u8, u64), _>("damaged"));
        assert_eq!(failed.await, Err("damaged"));
        assert_eq!(*put(&shelf, 9).await, 9);
    }
}
