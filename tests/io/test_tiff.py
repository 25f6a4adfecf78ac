"""TIFF of every kind that tifffile reads."""

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from napari_segdino.errors import ScanError
from napari_segdino.io import read_mask, read_scan
from napari_segdino.io.tiff import napari_axes
from napari_segdino.io.tiff_units import plain_unit

RNG = np.random.default_rng(0)


def noise(*shape, dtype=np.uint16):
    return RNG.integers(0, 255, shape).astype(dtype)


def test_imagej_spacing_and_axes(tmp_path):
    data = noise(2, 3, 8, 9)
    about = {"axes": "TZYX", "spacing": 2.5, "unit": "um", "finterval": 4.0}
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, imagej=True, resolution=(10, 5), metadata=about)
    scan = read_scan(path)
    assert (scan.axes, scan.format, scan.name) == ("TZYX", "TIFF", "a")
    assert scan.spacing == pytest.approx((4.0, 2.5, 0.2, 0.1))
    assert scan.units == ("s", "um", "um", "um")
    assert np.array_equal(scan.data, data)


def test_imagej_channels_come_first(tmp_path):
    data = noise(3, 2, 8, 9)
    tifffile.imwrite(tmp_path / "a.tif", data, imagej=True, metadata={"axes": "ZCYX"})
    scan = read_scan(tmp_path / "a.tif")
    assert (scan.axes, scan.shape, scan.colour) == ("CZYX", (2, 3, 8, 9), False)
    assert np.array_equal(scan.data[1, 2], data[2, 1])
    kwargs = scan.layer_kwargs()
    assert kwargs["channel_axis"] == 0
    assert kwargs["name"] == ["a channel 1", "a channel 2"]
    assert len(kwargs["scale"]) == 3


def test_ome_sizes_units_and_channel_names(tmp_path):
    about = {
        "axes": "CZYX",
        "PhysicalSizeX": 0.1,
        "PhysicalSizeXUnit": "µm",
        "PhysicalSizeY": 0.2,
        "PhysicalSizeYUnit": "µm",
        "PhysicalSizeZ": 500,
        "PhysicalSizeZUnit": "nm",
        "Channel": {"Name": ["DAPI", "GFP"]},
    }
    data = noise(2, 3, 8, 9)
    tifffile.imwrite(tmp_path / "a.ome.tif", data, metadata=about)
    scan = read_scan(tmp_path / "a.ome.tif")
    assert scan.format == "OME-TIFF"
    assert scan.channel_names == ("DAPI", "GFP")
    assert scan.spacing == pytest.approx((500, 0.2, 0.1))
    assert scan.units == ("nm", "um", "um")
    assert scan.layer_kwargs()["name"] == ["a DAPI", "a GFP"]
    assert np.array_equal(scan.data, data)


@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_colour_is_last(tmp_path, planar):
    data = noise(8, 9, 3, dtype=np.uint8)
    stored = data if planar == "contig" else np.moveaxis(data, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb", planarconfig=planar)
    scan = read_scan(tmp_path / "a.tif")
    assert (scan.axes, scan.colour) == ("YXC", True)
    assert np.array_equal(scan.data, data)


def test_pages_without_names_are_depth(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(5, 8, 9), metadata=None)
    assert read_scan(tmp_path / "a.tif").axes == "ZYX"


def test_dots_per_inch_are_no_spacing_but_centimetres_are(tmp_path):
    data = noise(8, 9)
    tifffile.imwrite(
        tmp_path / "i.tif", data, resolution=(72, 72), resolutionunit="INCH"
    )
    tifffile.imwrite(
        tmp_path / "c.tif", data, resolution=(2e4, 1e4), resolutionunit="CENTIMETER"
    )
    assert read_scan(tmp_path / "i.tif").units == ("pixel", "pixel")
    scan = read_scan(tmp_path / "c.tif")
    assert (scan.spacing, scan.units) == (pytest.approx((1.0, 0.5)), ("um", "um"))


@pytest.mark.parametrize("compression", [None, "zlib", "lzw", "zstd", "jpeg"])
def test_compressions(tmp_path, compression):
    data = np.full((64, 64), 7, np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", data, compression=compression)
    assert np.array_equal(read_scan(tmp_path / "a.tif").data, data)


def test_several_images_in_a_file(tmp_path):
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path) as out:
        out.write(noise(8, 9), metadata=None)
        out.write(noise(5, 6), metadata=None)
    scan = read_scan(path)
    assert scan.shape == (8, 9)
    assert scan.warnings == ("2 images are here; number 0 was taken.",)
    titles = {"0": "image (8 x 9)", "1": "image (5 x 6)"}
    assert (scan.series, scan.all_series) == ("0", titles)
    for chosen in (1, "1"):
        other = read_scan(path, series=chosen)
        assert (other.shape, other.series, other.warnings) == ((5, 6), "1", ())
        assert other.name == "a 1"
    for wrong in (7, "-1", "axial"):
        marked = rf"a\.tif holds 2 images, there is no number {wrong}"
        with pytest.raises(ScanError, match=marked):
            read_scan(path, series=wrong)


def test_the_only_image_of_a_file_has_no_number(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", noise(8, 9))
    scan = read_scan(tmp_path / "a.tif")
    assert (scan.series, scan.all_series) == ("", {})


def test_big_files_are_read_when_needed(tmp_path, monkeypatch):
    import dask.array as da

    data = noise(6, 256, 256)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, data, bigtiff=True, tile=(64, 64), compression="zlib")
    read = []
    decode = tifffile.FileHandle.read_segments

    def watched(self, *args, **kwargs):
        for segment in decode(self, *args, **kwargs):
            read.append(1)
            yield segment

    monkeypatch.setattr(tifffile.FileHandle, "read_segments", watched)
    seen = []
    plain = tifffile.FileHandle.read

    def counted(self, size=-1, /):
        found = plain(self, size)
        seen.append(len(found))
        return found

    monkeypatch.setattr(tifffile.FileHandle, "read", counted)
    scan = read_scan(path, lazy=True)
    assert isinstance(scan.data, da.Array)
    assert scan.data.chunksize[-2:] == (64, 64)
    assert np.array_equal(scan.data[3, :64, :64].compute(), data[3, :64, :64])
    assert sum(seen) < path.stat().st_size / 8
    assert len(read) <= 2


def test_pyramids_are_multiscale(tmp_path):
    data = noise(3, 128, 128)
    path = tmp_path / "a.ome.tif"
    about = {"axes": "CYX", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    with tifffile.TiffWriter(path) as out:
        out.write(data, subifds=2, metadata=about, tile=(32, 32))
        out.write(data[:, ::2, ::2], subfiletype=1, tile=(32, 32))
        out.write(data[:, ::4, ::4], subfiletype=1, tile=(32, 32))
    scan = read_scan(path, lazy=True)
    assert [a.shape for a in scan.pyramid] == [(3, 64, 64), (3, 32, 32)]
    levels, kwargs, kind = scan.layer_data()
    assert kwargs["multiscale"] is True
    assert kind == "image"
    assert [a.shape for a in levels] == [(3, 128, 128), (3, 64, 64), (3, 32, 32)]
    last = scan.channels_last()
    assert last.pyramid[1].shape == (32, 32, 3)
    assert np.array_equal(last.data[..., 1].compute(), data[1])


@pytest.mark.parametrize(
    ("axes", "named"),
    [
        ("QYX", "ZYX"),
        ("IYX", "ZYX"),
        ("ZQYX", "ZTYX"),
        ("YXS", "YXC"),
    ],
)
def test_axes_are_named(axes, named):
    assert napari_axes(axes) == named


@pytest.mark.parametrize("axes", ["CYXS", "QIAYX", "Y", "HAZYX"])
def test_axes_without_a_name(axes):
    with pytest.raises(ScanError, match="cannot be named"):
        napari_axes(axes)


def test_units_are_spelt_one_way():
    spelt = ["µm", "μm", "um", "micron", "\\u00b5m", "nm", "", "parsec", "pixel"]
    wanted = ["um"] * 5 + ["nm", "pixel", "pixel", "pixel"]
    assert [plain_unit(one) for one in spelt] == wanted


@pytest.mark.parametrize("lazy", [False, True])
def test_a_palette_gives_colours_and_as_a_mask_its_numbers(tmp_path, lazy):
    index = np.arange(40 * 50, dtype="u1").reshape(40, 50)
    table = np.random.default_rng(0).integers(0, 65535, (3, 256)).astype("u2")
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, index, photometric="palette", colormap=table)
    scan = read_scan(path, lazy=lazy)
    assert (scan.axes, scan.colour, scan.shape) == ("YXC", True, (40, 50, 3))
    assert np.array_equal(
        np.asarray(scan.data), np.moveaxis(table[:, index], 0, -1) >> 8
    )
    assert np.array_equal(read_mask(path), index)
    grey = np.tile(np.arange(256, dtype="u2")[::-1] * 257, (3, 1))
    tifffile.imwrite(path, index, photometric="palette", colormap=grey)
    scan = read_scan(path, lazy=lazy)
    assert (scan.axes, int(scan.data[0, 3])) == ("YX", 252)


def test_the_colours_that_imagej_shows_grey_values_in_are_none_of_theirs(tmp_path):
    index = np.arange(40 * 50, dtype="u1").reshape(40, 50)
    green = np.zeros((3, 256), "u2")
    green[1] = np.arange(256) * 257
    about = {"description": "ImageJ=1.53t\n", "metadata": None}
    path = tmp_path / "p.tif"
    tifffile.imwrite(path, index, photometric="palette", colormap=green, **about)
    scan = read_scan(path)
    assert (scan.axes, scan.shape) == ("YX", (40, 50))
    assert np.array_equal(scan.data, index)


@pytest.mark.parametrize("lazy", [False, True])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_orientation_tag_is_heeded_as_pillow_does(tmp_path, orientation, lazy):
    data = np.random.default_rng(0).integers(0, 255, (40, 50, 3)).astype("u1")
    path = tmp_path / "o.tif"
    about = {"tiffinfo": {274: orientation, 282: 100.0, 283: 50.0, 296: 3}}
    Image.fromarray(data).save(path, **about)
    wanted = np.array(ImageOps.exif_transpose(Image.open(path)))
    scan = read_scan(path, lazy=lazy)
    assert np.array_equal(np.asarray(scan.data), wanted)
    across, down = 1e4 / 100, 1e4 / 50
    turned = orientation >= 5
    assert scan.spacing == pytest.approx((across, down) if turned else (down, across))


def test_pages_that_were_added_one_by_one_are_a_stack(tmp_path):
    path, pages = tmp_path / "a.tif", noise(4, 8, 9)
    for k, page in enumerate(pages):
        tifffile.imwrite(path, page, append=k > 0)
    scan = read_scan(path)
    assert (scan.axes, scan.all_series) == ("ZYX", {})
    assert np.array_equal(scan.data, pages)
    tifffile.imwrite(path, noise(8, 9).astype(float), append=True)
    assert len(read_scan(path).all_series) == 5


@pytest.mark.parametrize("part", [None, b"no"])
def test_parts_of_an_ome_tiff_that_are_missing_are_told(tmp_path, part, capfd):
    uuid = "urn:uuid:0000000{}-0000-0000-0000-000000000000"
    planes, names = noise(3, 8, 9), [f"z{z}.ome.tif" for z in range(3)]
    listed = "".join(
        f'<TiffData FirstZ="{z}" PlaneCount="1"><UUID FileName="{name}">'
        f"{uuid.format(z)}</UUID></TiffData>"
        for z, name in enumerate(names)
    )
    kind = planes.dtype.name
    for z, name in enumerate(names):
        about = (
            '<?xml version="1.0"?><OME xmlns="http://www.openmicroscopy.org/Schemas/'
            f'OME/2016-06" UUID="{uuid.format(z)}"><Image ID="Image:0"><Pixels '
            f'ID="Pixels:0" DimensionOrder="XYZCT" Type="{kind}" SizeX="9" SizeY="8" '
            f'SizeZ="3" SizeC="1" SizeT="1">{listed}</Pixels></Image></OME>'
        )
        tifffile.imwrite(tmp_path / name, planes[z], description=about, metadata=None)
    first = tmp_path / names[0]
    scan = read_scan(first)
    assert np.array_equal(scan.data, planes)
    assert scan.warnings == ()
    content = first.read_bytes()
    first.write_bytes(content.replace(b'"z1.ome.tif"', b'"../x.ome.t"'))
    with pytest.raises(ScanError, match=r"pixels outside of its folder, \.\./x\.ome"):
        read_scan(first)
    first.write_bytes(content)
    (tmp_path / names[1]).unlink()
    if part:
        (tmp_path / names[1]).write_bytes(part)
    assert (
        "Parts of the image are missing" in read_scan(tmp_path / names[0]).warnings[0]
    )
    assert capfd.readouterr() == ("", "")


def test_inks_are_channels_and_no_colours(tmp_path):
    inks = noise(8, 9, 4).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", inks, photometric="separated")
    scan = read_scan(tmp_path / "a.tif", channels_last=True)
    assert (scan.axes, scan.colour) == ("YXC", False)
    assert np.array_equal(scan.data, inks)


def test_a_compression_that_is_not_supported_is_named(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, noise(8, 9))
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages[0].tags["Compression"].overwrite(34676)
    with pytest.raises(ScanError, match=r"compression \(SGILOG\) is not supported"):
        read_scan(path)
