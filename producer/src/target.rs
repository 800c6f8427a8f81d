use crate::setup_error::SetupError;

/// Where a connection of the load generator sends.
#[derive(Clone, Debug)]
pub(crate) struct Target {
    /// Host and port.
    pub(crate) authority: String,
    pub(crate) path: String,
}

impl Target {
    /// Parses a URL. Without a path, it means the route for one message or,
    /// with `is_many`, the route for many messages.
    pub(crate) fn parse(url: &str, is_many: bool) -> Result<Self, SetupError> {
        let rest = url.strip_prefix("http://");
        let rest = rest.ok_or_else(|| SetupError::Target(url.to_owned()))?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let path = match path {
            "" if is_many => "/api/v1/logs".to_owned(),
            "" => "/api/v1/log".to_owned(),
            path => format!("/{path}"),
        };
        Ok(Self {
            authority: authority.to_owned(),
            path,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_may_have_a_path() {
        let target = Target::parse("http://a:1", false).unwrap();
        assert_eq!(
            (target.authority.as_str(), target.path.as_str()),
            ("a:1", "/api/v1/log")
        );
        assert_eq!(
            Target::parse("http://a:1/", true).unwrap().path,
            "/api/v1/logs"
        );
        assert_eq!(Target::parse("http://a:1/x/y", false).unwrap().path, "/x/y");
        assert!(Target::parse("https://a:1", false).is_err());
    }
}
