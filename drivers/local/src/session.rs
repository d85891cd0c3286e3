//! A bus that is open. Lines answer at once; chips and thermometers take their time, on a thread that polls nothing else.

pub(crate) mod chips;
pub(crate) mod gpio;
mod worker;

use std::path::{Path, PathBuf};

use driver_core::LinkError;
use linux_embedded_hal::spidev::{SpiModeFlags, SpidevOptions};
use linux_embedded_hal::{I2cdev, SpidevDevice};

use crate::config::{Bus, LocalEndpoint};
use chips::{I2cBus, SpiBus};
use gpio::{Kernel, Lines};
pub(crate) use worker::Worker;

const ADVICE: &str = "See that the bus is switched on (raspi-config, or dtparam in config.txt) and that this user may open \
                      it; for the service, link /usr/share/forebay/local-io.conf into its drop-ins";

/// An open bus.
pub(crate) enum Session {
    Gpio(Lines<Kernel>),
    I2c(Worker<I2cBus<I2cdev>>),
    Spi(Worker<SpiBus<SpidevDevice>>),
    OneWire(Worker<PathBuf>),
}

impl Session {
    /// Opens the kernel's file; nothing is sent to any chip.
    pub(crate) async fn open(endpoint: &LocalEndpoint) -> Result<Session, LinkError> {
        let path = endpoint.path.clone();
        let cannot = |cause: String| LinkError::Connect { endpoint: endpoint.to_string(), cause, advice: ADVICE };
        match endpoint.bus {
            Bus::Gpio => Kernel::open(&path).map(|kernel| Session::Gpio(Lines::new(kernel))).map_err(cannot),
            Bus::I2c => {
                let bus = I2cdev::new(&path).map_err(|error| cannot(error.to_string()))?;
                Ok(Session::I2c(Worker::new(endpoint, I2cBus::new(bus))))
            }
            Bus::Spi => {
                let device = open_spi(&path, endpoint.speed).map_err(cannot)?;
                Ok(Session::Spi(Worker::new(endpoint, SpiBus::new(device))))
            }
            Bus::OneWire => {
                std::fs::metadata(&path).map_err(|error| cannot(error.to_string()))?;
                Ok(Session::OneWire(Worker::new(endpoint, path)))
            }
        }
    }
}

/// In mode 3, which both chips that are known work in (DS21295, 6.1; MAX31865, serial interface).
fn open_spi(path: &Path, speed: u32) -> Result<SpidevDevice, String> {
    let mut device = SpidevDevice::open(path).map_err(|error| error.to_string())?;
    let options = SpidevOptions::new().bits_per_word(8).max_speed_hz(speed).mode(SpiModeFlags::SPI_MODE_3).build();
    device.0.configure(&options).map_err(|error| error.to_string())?;
    Ok(device)
}
