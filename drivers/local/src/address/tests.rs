use super::*;

fn place(bus: Bus, text: &str) -> Place {
    Address::parse(bus, text).expect(text).place
}

#[test]
fn addresses_are_understood() {
    assert_eq!(place(Bus::Gpio, "in:17?pull=up&active=low"), Place::Line(LineName::Offset(17), Use::Input));
    assert_eq!(place(Bus::Gpio, "out:RELAY1"), Place::Line(LineName::Name("RELAY1".into()), Use::Output));
    assert_eq!(place(Bus::Gpio, "count:22?debounce=5ms"), Place::Line(LineName::Offset(22), Use::Count));
    assert_eq!(place(Bus::Gpio, "edge:5?debounce=5ms&pull=up"), Place::Line(LineName::Offset(5), Use::Edge));
    assert_eq!(place(Bus::I2c, "ADS1115.0"), Place::Chip(Chip::Ads1115, Channel::Voltage(4)));
    assert_eq!(place(Bus::I2c, "ads1115.2-3?range=0.256"), Place::Chip(Chip::Ads1115, Channel::Voltage(3)));
    assert_eq!(place(Bus::I2c, "mcp23017.out.b2"), Place::Chip(Chip::Mcp23017, Channel::Output(10)));
    assert_eq!(place(Bus::I2c, "pcf8574.in.7"), Place::Chip(Chip::Pcf8574, Channel::Input(7)));
    assert_eq!(place(Bus::Spi, "mcp3008.1-0"), Place::Chip(Chip::Mcp3008, Channel::Voltage(1)));
    assert_eq!(place(Bus::Spi, "max31865.temperature?wires=3"), Place::Chip(Chip::Max31865, Channel::Temperature));
    assert_eq!(place(Bus::OneWire, "28-0316A2798AFF"), Place::Thermometer("28-0316a2798aff".into()));
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_the_next_step() {
    for (bus, text, range, expected) in [
        (Bus::Gpio, "17", 0..2, "in:17"),
        (Bus::Gpio, "cont:17", 0..4, "did you mean count:"),
        (Bus::Gpio, "in:99999", 3..8, "gpioinfo"),
        (Bus::Gpio, "in:17?pul=up", 6..12, "did you mean pull"),
        (Bus::Gpio, "in:17?pull=left", 6..15, "up, down or off"),
        (Bus::Gpio, "out:17?debounce=1ms", 7..19, "there is active"),
        (Bus::I2c, "ads1015.0", 0..7, "did you mean ads1115"),
        (Bus::I2c, "ads1115.7", 8..9, "0 to 3"),
        (Bus::I2c, "mcp3008.0", 0..7, "a chip for SPI"),
        (Bus::I2c, "ina219.current", 0..14, "?shunt=0.1"),
        (Bus::I2c, "bme280", 6..6, "temperature, pressure, humidity"),
        (Bus::I2c, "bme280.humidity?x=1", 16..19, "nothing can be set"),
        (Bus::Spi, "mcp3008.0?vref=0", 10..16, "a voltage"),
        (Bus::OneWire, "28-03", 0..5, "28-0316a2798aff"),
    ] {
        let error = Address::parse(bus, text).expect_err(text);
        assert_eq!(error.range, range, "{text}: {error}");
        assert!(error.message.contains(expected), "{text}: {error}");
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic_and_what_it_prints_is_the_same_address(
        text in "(in:|out:|count:|edge:|ads1115|mcp23017|bme280|\\.|\\?|=|&|[a-z0-9é-]){0,12}"
    ) {
        for bus in [Bus::Gpio, Bus::I2c, Bus::Spi, Bus::OneWire] {
            match Address::parse(bus, &text) {
                Ok(address) => assert_eq!(Address::parse(bus, &address.to_string()), Ok(address)),
                Err(error) => assert!(text.get(error.range).is_some()),
            }
        }
    }
}
