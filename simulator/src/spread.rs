//! Work on several threads: a world stays on the thread that made it.

use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};

/// Does work on so many threads; what it tells is heard on this one.
pub(crate) fn spread<T: Send, N: Send>(
    items: Vec<T>,
    jobs: usize,
    work: &(dyn Fn(T, &Sender<N>) + Sync),
    hear: &mut dyn FnMut(N),
) {
    let threads = jobs.clamp(1, items.len().max(1));
    let queue = Mutex::new(items.into_iter());
    let next = || queue.lock().ok().and_then(|mut queue| queue.next());
    std::thread::scope(|scope| {
        let (sender, receiver) = mpsc::channel();
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                while let Some(item) = next() {
                    work(item, &sender);
                }
            });
        }
        drop(sender);
        receiver.into_iter().for_each(hear);
    });
}

/// Tells something to the thread that listens, which does so until all who tell are done.
pub(crate) fn tell<N>(news: &Sender<N>, what: N) {
    let _unheard = news.send(what);
}
