"""What the promotion rule really does: fleets with drawn forecasts, fleets with trained models, the page."""
