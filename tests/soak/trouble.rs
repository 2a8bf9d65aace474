//! What happens to the devices and to the broker.

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrand::Rng;
use lantime2mqtt::simulator::{Action, Clock, Fault, Relay, RscMode, Signal, SimulatedDevice};
use tokio::time::sleep;

use crate::support::mosquitto::Mosquitto;
use crate::support::proxy::Proxy;

/// Distance of what happens to devices.
const TICK: Duration = Duration::from_millis(40);
const EVENTS: [&str; 8] = [
    "ntp-not-sync",
    "ntp-stopped",
    "antenna-faulty",
    "sync-monitor",
    "network-link-down",
    "low-system-resources",
    "https-certificate-expired",
    "system-reboot",
];

fn any<T: Clone>(random: &mut Rng, of: &[T]) -> T {
    of[random.usize(..of.len())].clone()
}

fn millis(random: &mut Rng, range: std::ops::Range<u64>) -> Duration {
    Duration::from_millis(random.u64(range))
}

/// Moves and faults of the devices. In the end the faults are cleared, and the devices stay as they are.
pub(crate) async fn of_devices(devices: &[Arc<SimulatedDevice>], mut random: Rng, until: Instant) {
    let mut faults: Vec<(Instant, Arc<SimulatedDevice>)> = Vec::new();
    let (mut moves, mut all_faults) = (0, 0);
    while Instant::now() < until {
        let device = any(&mut random, devices);
        // One that this kind of device does not know is none.
        moves += usize::from(device.apply(&any_action(&mut random)).is_ok());
        if random.u8(..3) == 0 {
            let device = any(&mut random, devices);
            device.set_fault(Some(any_fault(&mut random)));
            faults.push((Instant::now() + millis(&mut random, 100..8000), device));
            all_faults += 1;
        }
        faults.retain(|(end, device)| {
            let stands = Instant::now() < *end;
            if !stands {
                device.set_fault(None);
            }
            stands
        });
        sleep(TICK).await;
    }
    faults.iter().for_each(|(_, device)| device.set_fault(None));
    println!("{moves} moves and {all_faults} faults of devices");
}

fn any_action(random: &mut Rng) -> Action {
    let clock = any(random, &[Clock::Clk1, Clock::Clk2]);
    let event = any(random, &EVENTS).to_owned();
    let slot = any(random, &["io1", "io3", "io4"]).to_owned();
    let signal = any(random, &[Signal::Pps, Signal::TenMhz]);
    match random.u8(..20) {
        0..5 => Action::FireEvent(event),
        5..9 => Action::ClearEvent(event),
        9 => Action::LoseSync(clock),
        10 => Action::RegainSync(clock),
        11 => Action::AntennaOff(clock),
        12 => Action::AntennaOn(clock),
        13 => Action::ChangeOver,
        14 => Action::RscMode(any(random, &[RscMode::Automatic, RscMode::Manual])),
        15 => Action::PowerOff(slot),
        16 => Action::PowerOn(slot),
        17 => Action::FailSignal(signal),
        18 => Action::RestoreSignal(signal),
        _ => Action::RelayEvents {
            slot: "io4".to_owned(),
            relay: any(random, &[Relay::A, Relay::C]),
            events: vec![event],
        },
    }
}

fn any_fault(random: &mut Rng) -> Fault {
    let faults = [
        Fault::NotFound,
        Fault::ServerError,
        Fault::Unavailable,
        Fault::Hang,
        Fault::SlowBody {
            bytes_per_second: 4000,
        },
        Fault::CutBody {
            after_bytes: random.u32(..20_000),
        },
        Fault::HugeBody { bytes: 9 << 20 },
        Fault::WrongJson,
        Fault::MissingKeys {
            keys: vec!["module".to_owned(), "sync-status".to_owned()],
        },
        Fault::Restart {
            down: millis(random, 100..4000),
        },
        Fault::ExpiredToken,
        Fault::ReadOnly,
        Fault::BusyConfiguration,
        Fault::HangOnWrite,
        Fault::HangOnApply,
        Fault::CutAfterWrite,
        Fault::CutAfterApply,
        Fault::FailingApply,
    ];
    any(random, &faults)
}

/// What happens to the broker and to the way there. In the end both work.
pub(crate) async fn of_broker(broker: &mut Mosquitto, proxy: &Proxy, mut random: Rng, until: Instant) {
    let mut kills = 0;
    loop {
        let pause = millis(&mut random, 3000..15_000);
        if Instant::now() + pause > until {
            break;
        }
        sleep(pause).await;
        let length = millis(&mut random, 0..4000);
        match random.u8(..8) {
            0..3 => {
                kills += 1;
                broker.kill9();
                sleep(length).await;
                // It waits until the broker listens.
                tokio::task::block_in_place(|| broker.restart());
            }
            3 => {
                broker.freeze();
                sleep(length).await;
                broker.thaw();
            }
            4 => {
                proxy.refuse(true);
                sleep(length).await;
                proxy.refuse(false);
            }
            5 => {
                proxy.hold(true);
                sleep(length).await;
                proxy.hold(false);
            }
            6 => proxy.delay(millis(&mut random, 0..60)),
            _ => proxy.cut(),
        }
    }
    proxy.delay(Duration::ZERO);
    println!("{kills} times the broker was killed");
}
