//! Secrets in hand: no `Display`, a `Debug` that prints only the type's name, wiped on drop, opened
//! by `expose()` alone. Callers of `expose()`: sealing, renewal and revocation, the call out to ORCID.

use std::fmt;
use zeroize::Zeroize;

macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq)]
        pub struct $name(String);

        impl $name {
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The secret itself. Every use is a place to look at twice.
            pub fn expose(&self) -> &str {
                &self.0
            }
        }

        impl Drop for $name {
            fn drop(&mut self) {
                self.0.zeroize();
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(…)"))
            }
        }
    };
}

secret!(
    /// An opaque bearer token (RFC 6750), at ORCID a lower-case UUID that lives twenty years.
    AccessToken
);
secret!(
    /// The token that renews or revokes a pair.
    RefreshToken
);
secret!(
    /// The secret of a client registration.
    ClientSecret
);
secret!(
    /// An authorization code on its way from the browser to the token endpoint (RFC 6749 §4.1.2).
    AuthorizationCode
);
