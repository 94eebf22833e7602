"""What every operation costs, compared with the published costs and the computed floors."""
