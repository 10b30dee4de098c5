"""Libraries of videos: their plan, their predictions one after the other, what is finished."""
