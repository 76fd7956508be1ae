//! The templates of the simulator's pages, compiled in, escaped by file name. Rendered by `browser`.

use super::people::{AccountState, Person};
use super::scopes;
use super::world::World;
use crate::domain::ScopeSet;
use minijinja::{Environment, Value, context};

/// The one style sheet; served under [`STYLE_PATH`].
pub(super) const STYLE: &str = include_str!("html/style.css");
pub(super) const STYLE_PATH: &str = "/simulator.css";

const TEMPLATES: &[(&str, &str)] = &[
    ("layout.html", include_str!("html/layout.html")),
    ("parts.html", include_str!("html/parts.html")),
    ("front.html", include_str!("html/front.html")),
    ("sign_in.html", include_str!("html/sign_in.html")),
    ("already.html", include_str!("html/already.html")),
    ("register.html", include_str!("html/register.html")),
    ("consent.html", include_str!("html/consent.html")),
    ("interstitial.html", include_str!("html/interstitial.html")),
    ("second_factor.html", include_str!("html/second_factor.html")),
    ("oauth_error.html", include_str!("html/oauth_error.html")),
    ("trusted.html", include_str!("html/trusted.html")),
    ("sign_out.html", include_str!("html/sign_out.html")),
    ("record.html", include_str!("html/record.html")),
    ("notice.html", include_str!("html/notice.html")),
];

pub(super) struct Pages(Environment<'static>);

impl Pages {
    pub(super) fn new() -> Self {
        let mut environment = Environment::new();
        for (name, text) in TEMPLATES {
            // A template that does not parse shows when its page is asked for; a test asks for every one.
            if let Err(error) = environment.add_template(name, text) {
                tracing::error!(page = name, %error, "a template of the simulator does not parse");
            }
        }
        Self(environment)
    }

    /// The HTML of page `name`. `base` is the simulator's own address.
    pub(super) fn render(&self, name: &str, base: &str, values: Value) -> Result<String, minijinja::Error> {
        self.0.get_template(name)?.render(context! { base, style => STYLE_PATH, ..values })
    }
}

/// The seeded people as the pages list them, passwords included.
pub(super) fn people(world: &World) -> Vec<Value> {
    world.people().iter().map(|person| entry(person)).collect()
}

/// The lines of the consent screen for these scopes.
pub(super) fn lines(scopes: &ScopeSet) -> Vec<Value> {
    scopes::lines(scopes).iter().map(|line| context! { text => line.text, more => line.more }).collect()
}

fn entry(person: &Person) -> Value {
    context! {
        orcid => person.orcid.as_str(),
        name => person.own_name(),
        email => &person.email,
        password => &person.password,
        about => &person.about,
        active => person.state == AccountState::Active,
    }
}
