//! Who may do what: rules in Cedar, behind the port of the engine.
