//! What is no mistake, and yet hardly what was meant.

use atelier_proto::settings::{Mode, Start};

use super::Plan;

impl Plan {
    /// Says so where variants differ by a seed that nothing of theirs uses: the same pictures would be painted several times.
    pub fn notice(&self) -> Option<String> {
        let mut seeds = self.variants.iter().map(|variant| variant.settings.seed);
        let first = seeds.next()?;
        let is_swept = seeds.any(|other| other != first);
        // What is painted of a photo or of an artist alone may begin from noise, whatever it is told.
        if !is_swept || self.reconstructions {
            return None;
        }
        let uses_seeds = self.artists.iter().any(|artist| {
            let of_artist = artist.settings.clone().over(self.settings.clone());
            self.variants.iter().any(|variant| {
                let settings = variant.settings.clone().over(of_artist.clone()).resolve();
                settings.mode != Mode::Transfer
                    || matches!(settings.start, Start::Noise | Start::Mix)
            })
        });
        (!uses_seeds).then(|| {
            "`seed` is swept, but only pictures that begin from noise differ by it: the same ones will be painted several times\n\
             hint: set start = \"mix\" or \"noise\", or sweep another setting, such as style_scale"
                .to_owned()
        })
    }
}
