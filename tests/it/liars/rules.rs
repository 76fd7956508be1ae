//! What is not one lie but a rule of the conversation: PKCE (T35), the issuer in the answer (T41), two providers
//! (T42), errors and where they stand (T40), second factors (T60), floods of unknown keys (T57), renewals (T61).
