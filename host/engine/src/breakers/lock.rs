//! The lock around a breaker: the system's. In tests, and there inside of `explore`, shuttle's, which tries in turn the orders in which
//! threads may get it.

#[cfg(not(test))]
pub(super) use std::sync::{Mutex as Lock, MutexGuard as Locked};
#[cfg(test)]
pub(super) use swapped::{Lock, Locked, explore};

#[cfg(test)]
mod swapped {
    use std::cell::Cell;
    use std::ops::{Deref, DerefMut};
    use std::sync::{LockResult, PoisonError};

    thread_local! {
        /// Shuttle runs all the threads of an exploration on one of the system's.
        static EXPLORING: Cell<bool> = const { Cell::new(false) };
    }

    /// Runs that in so many random orders of its threads, which are shuttle's; locks made meanwhile are shuttle's too.
    pub(in crate::breakers) fn explore(orders: usize, race: impl Fn() + Send + Sync + 'static) {
        EXPLORING.set(true);
        shuttle::check_random(race, orders);
        EXPLORING.set(false);
    }

    /// Either kind of lock.
    pub(in crate::breakers) enum Lock<T> {
        System(std::sync::Mutex<T>),
        Explored(shuttle::sync::Mutex<T>),
    }

    /// Either kind of lock, held.
    pub(in crate::breakers) enum Locked<'a, T> {
        System(std::sync::MutexGuard<'a, T>),
        Explored(shuttle::sync::MutexGuard<'a, T>),
    }

    impl<T> Lock<T> {
        pub(in crate::breakers) fn new(value: T) -> Self {
            if EXPLORING.get() {
                Self::Explored(shuttle::sync::Mutex::new(value))
            } else {
                Self::System(std::sync::Mutex::new(value))
            }
        }

        pub(in crate::breakers) fn lock(&self) -> LockResult<Locked<'_, T>> {
            Ok(match self {
                Self::System(lock) => Locked::System(lock.lock().unwrap_or_else(PoisonError::into_inner)),
                Self::Explored(lock) => Locked::Explored(lock.lock().unwrap_or_else(PoisonError::into_inner)),
            })
        }
    }

    impl<T> Deref for Locked<'_, T> {
        type Target = T;
        fn deref(&self) -> &T {
            match self {
                Self::System(held) => held,
                Self::Explored(held) => held,
            }
        }
    }

    impl<T> DerefMut for Locked<'_, T> {
        fn deref_mut(&mut self) -> &mut T {
            match self {
                Self::System(held) => held,
                Self::Explored(held) => held,
            }
        }
    }
}
