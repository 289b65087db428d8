//! Plots of the results.
use crate::{Result, load::Measured, suite::Found};
use plotters::{
    chart::ChartBuilder,
    prelude::{IntoDrawingArea as _, IntoLogRange as _, SVGBackend},
    series::LineSeries,
    style::{BLACK, Color as _, Palette as _, Palette99, WHITE},
};
use std::path::Path;

/// A plot: its curve, the value that is drawn, and the label of the axis.
type Plot = (&'static str, fn(&Measured) -> f64, &'static str);

const PLOTS: [Plot; 6] = [
    ("in flight", Measured::calls_per_second, "calls per second"),
    ("bytes", Measured::cpu_per_call, "CPU µs per call"),
    ("messages", Measured::cpu_per_call, "CPU µs per call"),
    ("tools", Measured::cpu_per_call, "CPU µs per call"),
    ("tasks", Measured::cpu_per_call, "CPU µs per call"),
    ("candidates", Measured::cpu_per_call, "CPU µs per call"),
];

/// Writes one file for each curve that was measured.
pub(crate) fn write(found: &Found, folder: &Path) -> Result {
    for plot in PLOTS {
        draw(found, folder, plot)?;
    }
    Ok(())
}

fn draw(found: &Found, folder: &Path, (curve, value, axis): Plot) -> Result {
    let Some(systems) = found.growth.get(curve) else { return Ok(()) };
    // A logarithmic axis has no 0.
    let points =
        |of: &[(f64, Measured)]| of.iter().map(|(at, it)| (at.max(0.5), value(it))).collect::<Vec<_>>();
    let all: Vec<_> = systems.values().flat_map(|of| points(of)).collect();
    let most = |pick: fn(&(f64, f64)) -> f64| all.iter().map(pick).fold(1.0, f64::max);
    let file = folder.join(format!("{}.svg", curve.replace(' ', "-")));
    let area = SVGBackend::new(&file, (720, 420)).into_drawing_area();
    area.fill(&WHITE)?;
    let across = (0.5..most(|point| point.0) * 1.1).log_scale();
    let mut chart = ChartBuilder::on(&area)
        .caption(format!("{axis} by {curve}"), ("sans-serif", 18))
        .margin(16)
        .x_label_area_size(40)
        .y_label_area_size(70)
        .build_cartesian_2d(across, 0.0..most(|point| point.1) * 1.1)?;
    chart.configure_mesh().x_desc(curve).y_desc(axis).draw()?;
    for (place, (system, of)) in systems.iter().enumerate() {
        let colour = Palette99::pick(place).mix(1.0);
        let line = chart.draw_series(LineSeries::new(points(of), colour.stroke_width(2)).point_size(3))?;
        line.label(system.as_str()).legend(move |(x, y)| {
            plotters::element::PathElement::new([(x, y), (x + 16, y)], colour.stroke_width(2))
        });
    }
    chart.configure_series_labels().background_style(WHITE).border_style(BLACK).draw()?;
    Ok(area.present()?)
}
