//! Subjects on which NATS services are found (`$SRV`, ADR-32).

/// What a role's service is called there.
pub fn service(role: &str) -> String {
    format!("natter-{role}")
}

/// Where an instance of a service is asked, whatever the verb: all services, those of its name, it
/// alone.
pub fn discovery(service: &str, instance: &str) -> [String; 3] {
    ["$SRV.*".to_owned(), format!("$SRV.*.{service}"), format!("$SRV.*.{service}.{instance}")]
}

/// Where an instance of a service is asked whether it is there; `*` for any.
pub fn ping(service: &str, instance: &str) -> String {
    format!("$SRV.PING.{service}.{instance}")
}
