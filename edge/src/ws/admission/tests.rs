use std::sync::Arc;

use super::*;

fn door(per_s: u32, burst: u32, at_once: usize, wait_ms: u64) -> Arc<Admission> {
    Arc::new(Admission::new(&EdgeSettings {
        identify_per_s: per_s,
        identify_burst: burst,
        identify_concurrency: at_once,
        identify_wait_ms: wait_ms,
        ..EdgeSettings::default()
    }))
}

#[tokio::test(start_paused = true)]
async fn everybody_gets_in_who_keeps_their_appointments() {
    let door = door(100, 10, 64, 500);
    let begun = Instant::now();
    let come = (0..1_000).map(|_| {
        let door = door.clone();
        tokio::spawn(async move {
            let mut refused = 0;
            loop {
                match door.turn().await {
                    Ok(_turn) => return (begun.elapsed(), refused),
                    Err(away) => {
                        refused += 1;
                        tokio::time::sleep(away.0).await;
                    }
                }
            }
        })
    });
    let mut all = Vec::new();
    for one in come.collect::<Vec<_>>() {
        all.push(one.await.unwrap());
    }
    let last = all.iter().map(|(at, _)| *at).max().unwrap();
    let most = all.iter().map(|(_, refused)| *refused).max().unwrap();
    // A thousand at a hundred a second take ten seconds; the spread of hints costs some more.
    assert!(last >= Duration::from_millis(9_800) && last < Duration::from_secs(14), "{last:?}");
    assert!(most <= 4, "{most} times");
    assert_eq!(door.schedule.lock().knock(door.began.elapsed()), None);
}

#[tokio::test(start_paused = true)]
async fn who_finds_everybody_busy_for_too_long_is_sent_away() {
    let door = door(100, 10, 1, 500);
    let turn = door.turn().await.unwrap();
    let before = Instant::now();
    assert!(door.turn().await.is_err());
    assert_eq!(before.elapsed(), Duration::from_millis(500));
    drop(turn);
    assert!(door.turn().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_is_not_counted_any_more() {
    let door = door(1, 1, 1, 60_000);
    let _turn = door.turn().await.unwrap();
    assert!(tokio::time::timeout(Duration::from_secs(2), door.turn()).await.is_err());
    assert_eq!(door.schedule.lock().knock(door.began.elapsed()), None);
    let counted = format!("{:?}", door.schedule.lock());
    assert!(counted.contains("waiting: 0"), "{counted}");
}
