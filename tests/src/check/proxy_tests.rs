use super::*;

const SOON: Duration = Duration::from_secs(5);
/// Long enough for what is wrongly let through on loopback.
const PAUSE: Duration = Duration::from_millis(200);

/// Two ends of a connection through a link.
async fn ends() -> (Link, TcpStream, TcpStream, TcpListener) {
    let target = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let link = Link::open("a", "b", target.local_addr().unwrap().port()).unwrap();
    let near = TcpStream::connect((Ipv4Addr::LOCALHOST, link.port())).await.unwrap();
    let (far, _) = timeout(SOON, target.accept()).await.unwrap().unwrap();
    (link, near, far, target)
}

async fn take(end: &mut TcpStream, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    timeout(SOON, end.read_exact(&mut bytes)).await.unwrap().unwrap();
    bytes
}

async fn nothing(end: &mut TcpStream) -> bool {
    let mut byte = [0];
    timeout(PAUSE, end.read(&mut byte)).await.is_err()
}

#[tokio::test]
async fn bytes_pass_both_ways_and_so_does_the_end() {
    let (_link, mut near, mut far, _target) = ends().await;
    near.write_all(b"there").await.unwrap();
    assert_eq!(take(&mut far, 5).await, b"there");
    far.write_all(b"back").await.unwrap();
    assert_eq!(take(&mut near, 4).await, b"back");
    drop(near);
    assert_eq!(timeout(SOON, far.read(&mut [0])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn one_way_is_held_and_arrives_whole_when_it_clears() {
    let (link, mut near, mut far, _target) = ends().await;
    link.set(Weather { there: Flow::Held, ..Weather::default() });
    near.write_all(b"held").await.unwrap();
    assert!(nothing(&mut far).await);
    far.write_all(b"free").await.unwrap();
    assert_eq!(take(&mut near, 4).await, b"free");
    link.set(Weather::default());
    assert_eq!(take(&mut far, 4).await, b"held");
}

#[tokio::test]
async fn a_dead_link_tells_nobody_that_the_other_end_is_gone() {
    let (link, near, mut far, _target) = ends().await;
    link.set(Weather::DEAD);
    drop(near);
    assert!(nothing(&mut far).await, "the end was told");
    link.set(Weather::default());
    assert_eq!(timeout(SOON, far.read(&mut [0])).await.unwrap().unwrap(), 0);
}

#[tokio::test]
async fn a_cut_breaks_what_there_is_and_refuses_what_comes() {
    let (link, mut near, _far, target) = ends().await;
    link.set(Weather::CUT);
    let ended = timeout(SOON, near.read(&mut [0])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
    let mut again = TcpStream::connect((Ipv4Addr::LOCALHOST, link.port())).await.unwrap();
    let refused = timeout(SOON, again.read(&mut [0])).await.unwrap();
    assert!(matches!(refused, Ok(0) | Err(_)));
    link.set(Weather::default());
    let _whole = TcpStream::connect((Ipv4Addr::LOCALHOST, link.port())).await.unwrap();
    timeout(SOON, target.accept()).await.unwrap().unwrap();
}

#[tokio::test]
async fn late_bytes_keep_their_order_and_their_distance() {
    let (link, mut near, mut far, _target) = ends().await;
    let late = Duration::from_millis(150);
    link.set(Weather::both(Flow::Late(late)));
    let began = Instant::now();
    for byte in 0..10 {
        near.write_all(&[byte]).await.unwrap();
    }
    assert_eq!(take(&mut far, 10).await, (0..10).collect::<Vec<u8>>());
    let took = began.elapsed();
    assert!(took >= late && took < late * 8, "{took:?}: each waits for the one before");
}

#[tokio::test]
async fn a_thin_link_passes_so_much_in_a_second_and_holds_a_bounded_rest() {
    let (link, mut near, mut far, _target) = ends().await;
    link.set(Weather::both(Flow::Thin(4000)));
    let began = Instant::now();
    near.write_all(&[7; 2000]).await.unwrap();
    take(&mut far, 2000).await;
    assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());

    link.set(Weather::DEAD);
    let flood = async {
        loop {
            near.write_all(&[0; CHUNK]).await.unwrap();
        }
    };
    assert!(timeout(PAUSE * 5, flood).await.is_err(), "held without a bound");
}

#[tokio::test]
async fn a_flapping_link_is_whole_by_turns_and_for_good_once_it_is_set() {
    let (link, mut near, _far, target) = ends().await;
    link.flap(Duration::from_millis(50));
    let ended = timeout(SOON, near.read(&mut [0])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
    link.set(Weather::default());
    let mut near = TcpStream::connect((Ipv4Addr::LOCALHOST, link.port())).await.unwrap();
    let (mut far, _) = timeout(SOON, target.accept()).await.unwrap().unwrap();
    assert!(nothing(&mut near).await, "still flapping");
    far.write_all(b"whole").await.unwrap();
    assert_eq!(take(&mut near, 5).await, b"whole");
}
