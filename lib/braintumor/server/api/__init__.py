"""The viewer's own API, beside MONAI Label's: studies, masks, jobs and learning."""
