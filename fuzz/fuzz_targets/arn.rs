//! Any text is an ARN, a function name, a sequence number or a destination, or is refused; what is read prints as it was.
#![no_main]
use libfuzzer_sys::fuzz_target;
use pelton_core::{Arn, DestinationArn, FunctionName, SequenceNumber};

fuzz_target!(|text: &str| {
    if let Ok(arn) = text.parse::<Arn>() {
        assert_eq!(arn.to_string(), text);
        let again = Arn::new(arn.partition(), arn.service(), arn.region(), arn.account(), arn.resource());
        assert_eq!(again.as_ref(), Ok(&arn));
    }
    if let Ok(destination) = text.parse::<DestinationArn>() {
        assert_eq!(destination.to_string(), text);
    }
    if let Ok(function) = text.parse::<FunctionName>() {
        assert_eq!(function.as_str(), text);
        let queue: Arn = "arn:aws:sqs:us-east-1:000000000000:q".parse().expect("a good ARN");
        let arn = function.arn(&queue).expect("a good name has an ARN");
        let again: FunctionName = arn.to_string().parse().expect("the ARN of a function names it");
        assert_eq!((again.name(), again.qualifier()), (function.name(), function.qualifier()));
    }
    if let Ok(number) = text.parse::<SequenceNumber>() {
        assert_eq!(number.as_str(), text);
        assert!(!(number < number.clone()), "a number is not below itself");
    }
});
